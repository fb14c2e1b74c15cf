"""Writes of device credentials, and the wait until the broker knows of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from iotplatform.common.notify import notify
from iotplatform.common.problems import Conflict
from registry.choices import CONNECTS
from registry.device_secrets import make_verifier, new_secret
from registry.exceptions import BrokerDoesNotAnswer, LifecycleRefuses
from registry.models import Credential, Device, Tenant
from registry.models.credentials import CredentialKind
from registry.services.constraint_errors import refusal

CHANNEL = "registry_credentials"
WAIT_SECONDS = 10.0
LOOK_EVERY_SECONDS = 0.05  # the broker's reload takes about as long
BATCH = 5_000  # rows of one INSERT, well below the limit of parameters


NEWEST_ONLY = (
    "The broker reads password files: only this newest secret is valid, and older ones"
    " are revoked."
)
OVERLAP = (
    "Older credentials of the device stay valid. Revoke them once the device uses this"
    " one."
)


@dataclass(frozen=True)
class Issued:
    """A new credential, its secret (never stored), and those that it replaces."""

    credential: Credential
    secret: str
    supersedes: list[Credential]

    @property
    def older_stay_valid(self) -> bool:
        """Whether the device may keep using its older credentials."""
        is_password = self.credential.kind == CredentialKind.PASSWORD
        return not (is_password and _broker_reads_files())

    @property
    def note(self) -> str:
        """The same as a sentence."""
        return OVERLAP if self.older_stay_valid else NEWEST_ONLY


def issue_credential(device: Device) -> Issued:
    """Issue a secret; the device may connect with it as soon as this returns.

    A broker that reads files knows only the newest secret of a device, so there the
    older ones are revoked once the new one is in force. Must not run inside a
    transaction. Raises LifecycleRefuses, BrokerDoesNotAnswer (the new one is revoked,
    the older ones stay), and Conflict if another one was issued meanwhile.
    """
    secret = new_secret()
    credential = create_credential(device, verifier=make_verifier(secret))
    return bring_into_force(credential, secret)


def register_certificate(device: Device, *, fingerprint: str) -> Issued:
    """Let a device authenticate with a certificate; several may be valid at once.

    As `issue_credential`; raises BadInput naming ``fingerprint`` if another credential
    of the platform has it.
    """
    credential = create_credential(
        device, kind=CredentialKind.X509, fingerprint=fingerprint
    )
    return bring_into_force(credential, "")


def bring_into_force(credential: Credential, secret: str) -> Issued:
    """Wait until the broker has a new credential; see `issue_credential`."""
    if not _broker_reads_files():
        return Issued(credential, secret, [])
    if not _wait_for(lambda: _is_published(credential)):
        revoke_credential(credential)
        raise BrokerDoesNotAnswer(
            "The broker did not confirm the new credential in time, so it was revoked."
            " The older ones are still valid. Try again."
        )
    credential.refresh_from_db()
    if credential.revoked_at is not None:
        raise Conflict("Meanwhile another credential was issued, or this was revoked.")
    return Issued(credential, secret, _supersede_older_than(credential))


@transaction.atomic
def revoke_credential(credential: Credential) -> None:
    """Revoke a credential; a second call keeps the time of the first."""
    _revoke(Q(pk=credential.pk))
    credential.refresh_from_db(fields=["revoked_at"])


def withdraw_credential(credential: Credential) -> None:
    """Revoke a credential and return once the broker refuses it.

    Must not run inside a transaction. Raises BrokerDoesNotAnswer; the credential is
    revoked nevertheless, and the broker drops it as soon as it can.
    """
    revoke_credential(credential)
    if not _broker_reads_files():
        return
    if not _wait_for(lambda: _is_withdrawn(credential)):
        raise BrokerDoesNotAnswer(
            "The credential is revoked. The broker has not confirmed yet that it"
            " refuses it; it will do so as soon as it can."
        )


def await_withdrawal(device: Device) -> bool:
    """Wait until the broker refuses every revoked secret; return False on timeout.

    Must not run inside a transaction.
    """
    revoked = Credential.objects.filter(
        device=device,
        revoked_at__isnull=False,
        published_at__isnull=False,
        withdrawn_at__isnull=True,
    )
    return not _broker_reads_files() or _wait_for(lambda: not revoked.exists())


@transaction.atomic
def revoke_credentials_of(device_ids: Collection[int]) -> int:
    """Revoke every credential of these devices; return how many."""
    return _revoke(Q(device_id__in=device_ids))


@transaction.atomic
def import_verifiers(*, tenant: Tenant, verifiers: Mapping[int, str]) -> int:
    """Import verifiers made elsewhere, by device id; return how many.

    A device that already has the same valid verifier is skipped.
    """
    known = set(
        Credential.objects.filter(
            tenant=tenant, device_id__in=verifiers, revoked_at__isnull=True
        ).values_list("device_id", "verifier")
    )
    rows = [
        Credential(tenant=tenant, device_id=device_id, verifier=verifier)
        for device_id, verifier in sorted(verifiers.items())
        if (device_id, verifier) not in known
    ]
    Credential.objects.bulk_create(rows, batch_size=BATCH)
    notify(CHANNEL)
    return len(rows)


def mark_published(ids: Sequence[int]) -> None:
    """Record that the broker's files contain these credentials now."""
    news = Q(published_at__isnull=True) | Q(withdrawn_at__isnull=False)
    Credential.objects.filter(news, pk__in=ids).update(
        published_at=timezone.now(), withdrawn_at=None
    )


def mark_withdrawn(ids: Sequence[int]) -> None:
    """Record that the broker's files no longer contain these credentials."""
    rows = Credential.objects.filter(pk__in=ids, withdrawn_at__isnull=True)
    rows.update(withdrawn_at=timezone.now())


@transaction.atomic
def create_credential(device: Device, **proof: str) -> Credential:
    """Insert a credential that the broker does not know yet; see `issue_credential`.

    Raises LifecycleRefuses, and BadInput for a certificate in use.
    """
    # A concurrent move to retired either sees this row, or is seen here.
    row = Device.objects.select_for_update(no_key=True, of=("self",)).get(pk=device.pk)
    if row.lifecycle not in CONNECTS:
        raise LifecycleRefuses(
            f"A device that is {row.lifecycle} may not connect and gets no credential."
        )
    credential = Credential(tenant_id=row.tenant_id, device=row, **proof)
    try:
        with transaction.atomic():
            credential.save()
    except IntegrityError as error:
        raise refusal(error) from error
    notify(CHANNEL)
    return credential


@transaction.atomic
def _supersede_older_than(credential: Credential) -> list[Credential]:
    if credential.kind != CredentialKind.PASSWORD:
        return []
    older = Credential.objects.filter(
        device_id=credential.device_id,
        kind=CredentialKind.PASSWORD,
        pk__lt=credential.pk,
        revoked_at__isnull=True,
    )
    rows = list(older.order_by("pk").select_for_update())
    _revoke(Q(pk__in=[row.pk for row in rows]))
    return rows


def _revoke(which: Q) -> int:
    rows = Credential.objects.filter(which, revoked_at__isnull=True)
    pks = list(rows.order_by("pk").select_for_update().values_list("pk", flat=True))
    if pks:
        Credential.objects.filter(pk__in=pks).update(revoked_at=timezone.now())
        notify(CHANNEL)
    return len(pks)


def _broker_reads_files() -> bool:
    return bool(settings.BROKER_CREDENTIALS == "files")


def _is_published(credential: Credential) -> bool:
    """Whether the wait is over: the broker has it, or it was revoked."""
    known = Q(published_at__isnull=False) | Q(revoked_at__isnull=False)
    return Credential.objects.filter(known, pk=credential.pk).exists()


def _is_withdrawn(credential: Credential) -> bool:
    gone = Q(withdrawn_at__isnull=False) | Q(published_at__isnull=True)
    return Credential.objects.filter(gone, pk=credential.pk).exists()


def _wait_for(is_so: Callable[[], bool]) -> bool:
    """Poll until the condition is true; each query is a transaction of its own."""
    if transaction.get_connection().in_atomic_block:
        raise RuntimeError("Inside a transaction, changes of others are not seen.")
    deadline = time.monotonic() + WAIT_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_EVERY_SECONDS)
    return True
