"""Products and what they declare, their hardware revisions, and their batches."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Value

from iotplatform.common.models import PublicIdModel
from registry.choices import DeviceKind
from registry.models.places import Tenant
from registry.validators import (
    validate_json_schema,
    validate_metrics,
    validate_reported_keys,
    validate_slug,
)


class Product(PublicIdModel):
    """A model line: what its devices have, understand, measure and report."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    slug = models.CharField(max_length=64, validators=[validate_slug])
    name = models.CharField(max_length=200)
    kind = models.CharField(
        max_length=16, choices=DeviceKind, default=DeviceKind.STANDALONE
    )
    # A JSON Schema of a device's attributes; "searchable": true puts an attribute into
    # the fleet index as attr.*.
    attributes_schema = models.JSONField(
        default=dict, blank=True, validators=[validate_json_schema]
    )
    # A JSON Schema of the configuration that its devices understand; empty: anything.
    config_schema = models.JSONField(
        default=dict,
        db_default=Value({}, output_field=models.JSONField()),
        blank=True,
        validators=[validate_json_schema],
    )
    # [{"name": "temperature", "unit": "°C", "dead_band": 0.5}, …]
    metrics = models.JSONField(default=list, blank=True, validators=[validate_metrics])
    # Dotted keys of the reported document that the fleet index has as reported.*.
    reported_keys = models.JSONField(
        default=list, blank=True, validators=[validate_reported_keys]
    )
    heartbeat_seconds = models.PositiveIntegerField(
        default=60, validators=[MinValueValidator(1), MaxValueValidator(86_400)]
    )
    takes_commands = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "slug"], name="registry_product_slug_once_per_tenant"
            )
        ]

    def __str__(self) -> str:
        return self.slug


class HardwareRevision(PublicIdModel):
    """A version of a product's hardware; its devices are built alike."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    product = models.ForeignKey(
        Product, on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    slug = models.CharField(max_length=64, validators=[validate_slug])
    name = models.CharField(max_length=200)
    notes = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "slug"], name="registry_revision_slug_once_per_tenant"
            )
        ]

    def __str__(self) -> str:
        return self.slug


class Batch(PublicIdModel):
    """Devices of a hardware revision that were manufactured together."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    hardware_revision = models.ForeignKey(
        HardwareRevision,
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
    )
    slug = models.CharField(max_length=64, validators=[validate_slug])
    name = models.CharField(max_length=200)
    made_at = models.DateTimeField(null=True, blank=True)
    notes = models.TextField(blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["slug"]
        verbose_name_plural = "batches"
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "slug"], name="registry_batch_slug_once_per_tenant"
            )
        ]

    def __str__(self) -> str:
        return self.slug
