"""Reads of device credentials; a verifier leaves only for the broker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import QuerySet

from registry.exceptions import NoSuchObject
from registry.lifecycle import CONNECTS
from registry.models import Credential, Device

CHUNK = 5_000  # rows of about 200 bytes held at once while a file is written


@dataclass(frozen=True, slots=True)
class BrokerLine:
    """One line of the broker's password file."""

    uid: str
    verifier: str
    credential_id: int


def list_credentials(device: Device) -> QuerySet[Credential]:
    """Return a device's credentials, newest first, the revoked ones too."""
    return Credential.objects.filter(device=device).order_by("-pk")


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
        Credential.objects.filter(
            revoked_at__isnull=True, device__lifecycle__in=CONNECTS
        )
        .order_by("device__uid", "-pk")
        .distinct("device__uid")
        .values_list("device__uid", "verifier", "pk")
    )
    for uid, verifier, pk in rows.iterator(chunk_size=CHUNK):
        yield BrokerLine(uid, verifier, pk)


def awaiting_withdrawal_across_tenants() -> QuerySet[Credential]:
    """Return the credentials that were published and are no longer valid."""
    return Credential.objects.filter(
        published_at__isnull=False,
        withdrawn_at__isnull=True,
        revoked_at__isnull=False,
    )
