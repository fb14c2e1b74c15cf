"""Firmware releases: a file, its version, and the hardware it is made for."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from iotplatform.common.models import PublicIdModel
from registry.models.catalogue import HardwareRevision, Product
from registry.models.places import Tenant
from registry.validators import validate_version


def stored_name(release: FirmwareRelease, filename: str) -> str:
    """Return the file's name in the storage, which ignores the uploader's name."""
    return f"firmware/{release.public_id}.bin"


class FirmwareRelease(PublicIdModel):
    """A version of firmware; its version and file never change."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    version = models.CharField(max_length=64, validators=[validate_version])
    file = models.FileField(upload_to=stored_name, max_length=200)
    size = models.BigIntegerField(editable=False)
    sha256 = models.CharField(max_length=64, editable=False)
    # Made by the builder of the firmware, for the device to check; we only pass it on.
    signature = models.TextField(max_length=4_096, blank=True)
    notes = models.TextField(max_length=10_000, blank=True)
    products = models.ManyToManyField(
        Product, through="FirmwareProduct", related_name="+"
    )
    # Empty: every revision of these products.
    hardware_revisions = models.ManyToManyField(
        HardwareRevision, through="FirmwareHardware", related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
    )

    class Meta:
        indexes = [
            models.Index(fields=["tenant", "-id"], name="registry_firmware_list")
        ]

    def __str__(self) -> str:
        return self.version


class FirmwareProduct(PublicIdModel):
    """A product that a release is for; it has at most one release of each version."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    release = models.ForeignKey(
        FirmwareRelease,
        on_delete=models.CASCADE,
        related_name="+",
        db_constraint=False,
    )
    product = models.ForeignKey(
        Product, on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    version = models.CharField(max_length=64)  # the release's

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["product", "version"],
                name="registry_firmware_version_once_per_product",
            )
        ]

    def __str__(self) -> str:
        return f"{self.version} for {self.product_id}"


class FirmwareHardware(PublicIdModel):
    """A hardware revision that a release is for."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    release = models.ForeignKey(
        FirmwareRelease,
        on_delete=models.CASCADE,
        related_name="+",
        db_constraint=False,
    )
    hardware_revision = models.ForeignKey(
        HardwareRevision,
        on_delete=models.PROTECT,
        related_name="+",
        db_constraint=False,
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["release", "hardware_revision"],
                name="registry_firmware_revision_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.release_id} on {self.hardware_revision_id}"
