"""Keys with which devices register themselves."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

from iotplatform.common.models import PublicIdModel
from registry.models.catalogue import Batch, Product
from registry.models.places import Site, Tenant

MOST_DEVICES = 1_000_000


class EnrolmentKey(PublicIdModel):
    """A key for up to N devices of a product or batch, until a date.

    It is stored as a SHA-256 digest. ``used_count`` changes when a device enrols with
    the key; no device message changes it.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    product = models.ForeignKey(
        Product, on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    # If set: only devices of this batch, which belongs to the product.
    batch = models.ForeignKey(
        Batch,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_constraint=False,
    )
    site = models.ForeignKey(
        Site, on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    name = models.CharField(max_length=100)
    digest = models.CharField(max_length=64, unique=True, editable=False)
    # The key's first characters, so that people recognise it in a list.
    prefix = models.CharField(max_length=12, editable=False)
    max_devices = models.PositiveIntegerField(
        validators=[MinValueValidator(1), MaxValueValidator(MOST_DEVICES)]
    )
    used_count = models.PositiveIntegerField(default=0, editable=False)
    expires_at = models.DateTimeField()
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
    )
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "-id"], name="registry_enrolkey_list")
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(used_count__lte=F("max_devices")),
                name="registry_enrolkey_never_over_issued",
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
