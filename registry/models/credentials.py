"""How a device proves its identity."""

from django.db import models
from django.db.models import Q

from iotplatform.common.models import PublicIdModel
from registry.models.devices import Device
from registry.models.places import Tenant


class CredentialKind(models.TextChoices):
    PASSWORD = "password", "password"  # a secret of ours, shown once
    X509 = "x509", "X.509"  # the device's certificate; we store its fingerprint


class Credential(PublicIdModel):
    """A device's secret or certificate, stored only in a form that can check it.

    For a secret that is a verifier in Mosquitto's ``$7$`` form, for a certificate the
    SHA-256 of its DER form.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="+")
    kind = models.CharField(
        max_length=16, choices=CredentialKind, default=CredentialKind.PASSWORD
    )
    verifier = models.CharField(max_length=200, blank=True)
    fingerprint = models.CharField(max_length=64, blank=True)  # lower case, no colons
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    # When it was added to the broker's files, and when it was removed from them.
    published_at = models.DateTimeField(null=True, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["device", "-id"],
                name="registry_credential_valid",
                condition=Q(revoked_at__isnull=True),
            ),
        ]
        constraints = [
            # Across the platform: a certificate identifies one device.
            models.UniqueConstraint(
                fields=["fingerprint"],
                condition=~Q(fingerprint="") & Q(revoked_at__isnull=True),
                name="registry_fingerprint_once",
            ),
            models.CheckConstraint(
                condition=Q(kind="password", fingerprint="") & ~Q(verifier="")
                | Q(kind="x509", verifier="") & ~Q(fingerprint=""),
                name="registry_credential_is_of_its_kind",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.device_id}"
