"""Reads of device credentials; a verifier leaves only for the broker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet

from iotplatform.common.broker_rights import UID
from registry.choices import CONNECTS
from registry.device_secrets import VerifiedSecrets
from registry.exceptions import NoSuchObject
from registry.models import Credential, Device
from registry.models.credentials import CredentialKind

CHUNK = 5_000  # rows of about 200 bytes held at once while a file is written
LONGEST_SECRET = 1_024  # ours have 43; a longer one is not worth the hashing
VALID = Q(revoked_at__isnull=True, device__lifecycle__in=CONNECTS)
verified = VerifiedSecrets()


@dataclass(frozen=True, slots=True)
class BrokerLine:
    """One line of the broker's password file."""

    uid: str
    verifier: str
    credential_id: int


def list_credentials(device: Device) -> QuerySet[Credential]:
    """Return a device's credentials, newest first, the revoked ones too."""
    rows = Credential.objects.filter(device=device, tenant=device.tenant_id)
    return rows.order_by("-pk")


def get_credential(device: Device, public_id: UUID | str) -> Credential:
    """Return one of a device's credentials; raises NoSuchObject."""
    try:
        return Credential.objects.get(device=device, public_id=public_id)
    except (Credential.DoesNotExist, ValidationError) as error:
        raise NoSuchObject("credential") from error


def broker_lines_across_tenants() -> Iterator[BrokerLine]:
    """Yield the newest valid credential of each device that may connect.

    By uid, so that the same truth gives the same file.
    """
    rows = (
        Credential.objects.filter(VALID, kind=CredentialKind.PASSWORD)
        .order_by("device__uid", "-pk")
        .distinct("device__uid")
        .values_list("device__uid", "verifier", "pk")
    )
    for uid, verifier, pk in rows.iterator(chunk_size=CHUNK):
        yield BrokerLine(uid, verifier, pk)


def certified_across_tenants() -> Iterator[tuple[str, int]]:
    """Yield uid and credential of every valid certificate, by uid."""
    rows = Credential.objects.filter(VALID, kind=CredentialKind.X509)
    names = rows.order_by("device__uid", "pk").values_list("device__uid", "pk")
    yield from names.iterator(chunk_size=CHUNK)


def is_secret_of_across_tenants(uid: str, secret: str) -> bool:
    """Whether this is a valid secret of a device that may connect; any of several."""
    if not UID.fullmatch(uid) or not 0 < len(secret) <= LONGEST_SECRET:
        return False
    rows = Credential.objects.filter(
        VALID, device__uid=uid, kind=CredentialKind.PASSWORD
    )
    verifiers = rows.order_by("-pk").values_list("verifier", flat=True)
    try:
        return any(verified.verify(secret, verifier) for verifier in verifiers)
    except UnicodeEncodeError:  # half of a surrogate pair is nobody's secret
        return False


def is_certificate_of_across_tenants(uid: str, fingerprint: str) -> bool:
    """Whether a device that may connect is known by this certificate."""
    if not UID.fullmatch(uid) or not fingerprint:
        return False
    return Credential.objects.filter(
        VALID, device__uid=uid, fingerprint=fingerprint
    ).exists()


def may_connect_across_tenants(uid: str, *, kind: str = "") -> bool:
    """Whether a device has any valid credential (of this kind), and a life for it."""
    if not UID.fullmatch(uid):
        return False
    rows = Credential.objects.filter(VALID, device__uid=uid)
    return (rows.filter(kind=kind) if kind else rows).exists()


def awaiting_withdrawal_across_tenants() -> QuerySet[Credential]:
    """Return the credentials that were published and are no longer valid."""
    return Credential.objects.filter(
        published_at__isnull=False,
        withdrawn_at__isnull=True,
        revoked_at__isnull=False,
    )
