"""The device, and the log of its lifecycle."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from iotplatform.common.models import PublicIdModel
from registry.choices import Adapter, DeviceKind, Lifecycle
from registry.models.catalogue import Batch, HardwareRevision, Product
from registry.models.places import Project, Site, Space, Tenant
from registry.validators import (
    UID_TAKEN_IN_OTHER_CASE,
    validate_tag,
    validate_uid,
    validate_uid_is_free,
)


def index_where_set(field: str, name: str) -> models.Index:
    """Return the index of a key that most rows leave empty."""
    return models.Index(
        fields=[field], name=name, condition=Q(**{f"{field}__isnull": False})
    )


class Device(PublicIdModel):
    """A physical unit with an identity of its own.

    It has more than 15 columns: identity, product and place of a device are one row.
    Keys without a constraint here have one of two columns (migrations/_relations.py),
    which ensures that they belong to the device's own tenant, site, product and
    revision. The tenant is the one of the site, which has a constraint to it.
    """

    uid = models.CharField(
        max_length=64, unique=True, validators=[validate_uid, validate_uid_is_free]
    )
    tenant = models.ForeignKey(
        Tenant,
        on_delete=models.PROTECT,
        db_index=False,
        related_name="+",
        db_constraint=False,
    )
    project = models.ForeignKey(
        Project,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_constraint=False,
    )
    site = models.ForeignKey(
        Site, on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    space = models.ForeignKey(
        Space,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="+",
        db_constraint=False,
    )
    product = models.ForeignKey(
        Product, on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    hardware_revision = models.ForeignKey(
        HardwareRevision,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="+",
        db_constraint=False,
    )
    batch = models.ForeignKey(
        Batch,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="+",
        db_constraint=False,
    )
    name = models.CharField(max_length=200, blank=True)
    serial = models.CharField(max_length=64, blank=True)
    kind = models.CharField(
        max_length=16, choices=DeviceKind, default=DeviceKind.STANDALONE
    )
    gateway = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        db_index=False,
        related_name="+",
        db_constraint=False,
    )
    adapter = models.CharField(max_length=16, choices=Adapter, default=Adapter.MQTT)
    lifecycle = models.CharField(
        max_length=16, choices=Lifecycle, default=Lifecycle.PROVISIONED
    )
    tags = ArrayField(
        models.CharField(max_length=64, validators=[validate_tag]),
        default=list,
        blank=True,
    )
    attributes = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        indexes = [
            GinIndex(fields=["tags"], name="registry_device_tags"),
            models.Index(fields=["tenant", "id"], name="registry_device_of_tenant"),
            # Values that few of many devices have, so that listing them needs no scan.
            models.Index(
                fields=["lifecycle", "uid"],
                name="registry_device_not_active",
                condition=~Q(lifecycle=Lifecycle.ACTIVE),
            ),
            models.Index(
                fields=["kind", "uid"],
                name="registry_device_not_alone",
                condition=~Q(kind=DeviceKind.STANDALONE),
            ),
            index_where_set("space", "registry_device_of_space"),
            index_where_set("hardware_revision", "registry_device_of_revision"),
            index_where_set("batch", "registry_device_of_batch"),
            index_where_set("gateway", "registry_device_of_gateway"),
            # For prefixes of names and serials; uid has its own with its uniqueness.
            models.Index(
                fields=["serial"],
                name="registry_device_serial_like",
                opclasses=["varchar_pattern_ops"],
            ),
            models.Index(
                fields=["name"],
                name="registry_device_name_like",
                opclasses=["varchar_pattern_ops"],
            ),
        ]
        constraints = [
            # Look-ups are exact; nobody should have to tell apart S1-1 and s1-1.
            models.UniqueConstraint(
                Lower("uid"),
                name="registry_device_uid_once_in_any_case",
                violation_error_message=UID_TAKEN_IN_OTHER_CASE,
            ),
            models.UniqueConstraint(
                fields=["tenant", "serial"],
                condition=~Q(serial=""),
                name="registry_serial_once_per_tenant",
            ),
            models.CheckConstraint(
                condition=Q(kind=DeviceKind.CHILD, gateway__isnull=False)
                | ~Q(kind=DeviceKind.CHILD) & Q(gateway__isnull=True),
                name="registry_child_and_only_child_has_gateway",
            ),
            models.CheckConstraint(
                condition=Q(batch__isnull=True) | Q(hardware_revision__isnull=False),
                name="registry_batch_is_of_a_revision",
            ),
        ]

    def __str__(self) -> str:
        return self.uid


class LifecycleMove(PublicIdModel):
    """One lifecycle move of a device: who, when, from, to and why."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    device = models.ForeignKey(
        Device, on_delete=models.CASCADE, db_index=False, related_name="+"
    )
    at = models.DateTimeField()
    moved_from = models.CharField(max_length=16, choices=Lifecycle, blank=True)
    moved_to = models.CharField(max_length=16, choices=Lifecycle)
    reason = models.TextField(blank=True)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        db_index=False,
        related_name="+",
    )
    # The device that replaced this one.
    replaced_by = models.ForeignKey(
        Device,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        db_index=False,
        related_name="+",
    )

    class Meta:
        indexes = [
            models.Index(fields=["device", "-at"], name="registry_move_by_device"),
            index_where_set("actor", "registry_move_by_actor"),
            index_where_set("replaced_by", "registry_move_by_successor"),
        ]

    def __str__(self) -> str:
        return f"{self.device_id}: {self.moved_from} → {self.moved_to}"
