"""Reads of device credentials; verifiers are given only to the broker."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet

from iotplatform.common.ids import UID
from registry.choices import CONNECTS
from registry.device_secrets import VerifiedSecrets
from registry.exceptions import NoSuchObject
from registry.models import Credential, Device
from registry.models.credentials import CredentialKind

CHUNK = 5_000  # rows of about 200 bytes in memory while a file is written
LONGEST_SECRET = 1_024  # ours have 43; do not spend time on hashing a longer one
VALID = Q(revoked_at__isnull=True, device__lifecycle__in=CONNECTS)
verified = VerifiedSecrets()


@dataclass(frozen=True, slots=True)
class BrokerLine:
    """One line of the broker's password file."""

    uid: str
    verifier: str
    credential_id: int


def list_credentials(device: Device) -> QuerySet[Credential]:
    """Return a device's credentials, newest first, including revoked ones."""
    rows = Credential.objects.filter(device=device, tenant=device.tenant_id)
    return rows.order_by("-pk")


def get_credential(device: Device, public_id: UUID | str) -> Credential:
    """Return one of a device's credentials; raises NoSuchObject."""
    try:
        return Credential.objects.get(device=device, public_id=public_id)
    except (Credential.DoesNotExist, ValidationError) as error:
        raise NoSuchObject("credential") from error


def list_broker_lines_across_tenants() -> Iterator[BrokerLine]:
    """Yield the newest valid credential of each device that may connect.

    Sorted by uid, so that the same data gives the same file.
    """
    rows = (
        Credential.objects.filter(VALID, kind=CredentialKind.PASSWORD)
        .order_by("device__uid", "-pk")
        .distinct("device__uid")
        .values_list("device__uid", "verifier", "pk")
    )
    for uid, verifier, pk in rows.iterator(chunk_size=CHUNK):
        yield BrokerLine(uid, verifier, pk)


def list_certificates_across_tenants() -> Iterator[tuple[str, int]]:
    """Yield uid and credential id of every valid certificate, sorted by uid."""
    rows = Credential.objects.filter(VALID, kind=CredentialKind.X509)
    names = rows.order_by("device__uid", "pk").values_list("device__uid", "pk")
    yield from names.iterator(chunk_size=CHUNK)


def is_secret_of_across_tenants(uid: str, secret: str) -> bool:
    """Whether this is one of the valid secrets of a device that may connect."""
    return bool(find_valid_secrets_across_tenants([(uid, secret)]))


def find_valid_secrets_across_tenants(
    pairs: Collection[tuple[str, str]],
) -> set[tuple[str, str]]:
    """Return those pairs of uid and secret with which a device may connect.

    One query for all of them.
    """
    asked = {
        (uid, secret)
        for uid, secret in pairs
        if UID.fullmatch(uid) and 0 < len(secret) <= LONGEST_SECRET
    }
    if not asked:
        return set()
    rows = Credential.objects.filter(
        VALID, device__uid__in={uid for uid, _ in asked}, kind=CredentialKind.PASSWORD
    )
    verifiers: dict[str, list[str]] = {}
    for uid, verifier in rows.order_by("-pk").values_list("device__uid", "verifier"):
        verifiers.setdefault(uid, []).append(verifier)
    return {
        (uid, secret)
        for uid, secret in asked
        if any(_is_verified(secret, verifier) for verifier in verifiers.get(uid, []))
    }


def _is_verified(secret: str, verifier: str) -> bool:
    try:
        return verified.verify(secret, verifier)
    except UnicodeEncodeError:  # no secret contains a lone surrogate
        return False


def is_certificate_of_across_tenants(uid: str, fingerprint: str) -> bool:
    """Whether this is a valid certificate of a device that may connect."""
    if not UID.fullmatch(uid) or not fingerprint:
        return False
    return Credential.objects.filter(
        VALID, device__uid=uid, fingerprint=fingerprint
    ).exists()


def may_connect_across_tenants(uid: str, *, kind: str = "") -> bool:
    """Whether a device has a valid credential (of this kind) and may connect."""
    if not UID.fullmatch(uid):
        return False
    rows = Credential.objects.filter(VALID, device__uid=uid)
    return (rows.filter(kind=kind) if kind else rows).exists()


def list_awaiting_withdrawal_across_tenants() -> QuerySet[Credential]:
    """Return the published credentials that are no longer valid."""
    return Credential.objects.filter(
        published_at__isnull=False,
        withdrawn_at__isnull=True,
        revoked_at__isnull=False,
    )
