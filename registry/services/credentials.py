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
    "The broker reads password files: this newest secret is the only valid one, and"
    " older ones are revoked."
)
OVERLAP = (
    "Older credentials of the device stay valid until they are revoked: revoke them"
    " once the device uses this one."
)


@dataclass(frozen=True)
class Issued:
    """A new credential, its secret (kept nowhere), and those it takes the place of."""

    credential: Credential
    secret: str
    supersedes: list[Credential]

    @property
    def older_stay_valid(self) -> bool:
        """Whether the device may go on with what it has, until that is revoked."""
        is_password = self.credential.kind == CredentialKind.PASSWORD
        return not (is_password and _broker_reads_files())

    @property
    def note(self) -> str:
        """The same in words."""
        return OVERLAP if self.older_stay_valid else NEWEST_ONLY


def issue_credential(device: Device) -> Issued:
    """Give a device a secret; with it, it may connect as soon as this returns.

    A broker that reads files knows only the newest secret of a device: the older ones
    are revoked then, once the new one is in force. Must not run inside a transaction.
    Raises LifecycleRefuses, BrokerDoesNotAnswer (the new one is revoked, the older
    ones stay), Conflict where another one was issued meanwhile.
    """
    secret = new_secret()
    credential = create_credential(device, verifier=make_verifier(secret))
    return bring_into_force(credential, secret)


def register_certificate(device: Device, *, fingerprint: str) -> Issued:
    """Let a device prove itself by a certificate; several may overlap.

    As `issue_credential`; raises BadInput naming ``fingerprint`` where another
    credential of the platform has it.
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
            "The broker did not take the credential in time; it has been revoked, and"
            " what was valid before still is. Try again."
        )
    credential.refresh_from_db()
    if credential.revoked_at is not None:
        raise Conflict("Another credential was issued, or this one revoked, meanwhile.")
    return Issued(credential, secret, _supersede_older_than(credential))


@transaction.atomic
def revoke_credential(credential: Credential) -> None:
    """Make a secret worthless; revoking twice keeps the first time."""
    _revoke(Q(pk=credential.pk))
    credential.refresh_from_db(fields=["revoked_at"])


def withdraw_credential(credential: Credential) -> None:
    """Revoke a secret and return once the broker refuses it.

    Must not run inside a transaction. Raises BrokerDoesNotAnswer: it is revoked all
    the same, and the broker drops it as soon as it can.
    """
    revoke_credential(credential)
    if not _broker_reads_files():
        return
    if not _wait_for(lambda: _is_withdrawn(credential)):
        raise BrokerDoesNotAnswer(
            "The credential is revoked; the broker has not confirmed in time that it"
            " refuses it. It will, as soon as it can."
        )


def await_withdrawal(device: Device) -> bool:
    """Wait until the broker refuses every revoked secret; say whether it does by then.

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
    """Take in verifiers made elsewhere, by device id, in one go; return how many.

    A device that has this very verifier as a valid one keeps it as it is.
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
    """Note that the broker's files hold these credentials now."""
    news = Q(published_at__isnull=True) | Q(withdrawn_at__isnull=False)
    Credential.objects.filter(news, pk__in=ids).update(
        published_at=timezone.now(), withdrawn_at=None
    )


def mark_withdrawn(ids: Sequence[int]) -> None:
    """Note that the broker's files no longer hold these credentials."""
    rows = Credential.objects.filter(pk__in=ids, withdrawn_at__isnull=True)
    rows.update(withdrawn_at=timezone.now())


@transaction.atomic
def create_credential(device: Device, **proof: str) -> Credential:
    """Insert a credential, which the broker does not know yet; see `issue_credential`.

    Raises LifecycleRefuses, and BadInput for a certificate that is known already.
    """
    # A move to retired at the same time either sees this row or is seen here.
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
    """Whether the wait is over: the broker has it, or it was revoked meanwhile."""
    known = Q(published_at__isnull=False) | Q(revoked_at__isnull=False)
    return Credential.objects.filter(known, pk=credential.pk).exists()


def _is_withdrawn(credential: Credential) -> bool:
    gone = Q(withdrawn_at__isnull=False) | Q(published_at__isnull=True)
    return Credential.objects.filter(gone, pk=credential.pk).exists()


def _wait_for(is_so: Callable[[], bool]) -> bool:
    """Look at the row until it says so; each look is a transaction of its own."""
    if transaction.get_connection().in_atomic_block:
        raise RuntimeError("Nobody else's change shows inside a transaction.")
    deadline = time.monotonic() + WAIT_SECONDS
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(LOOK_EVERY_SECONDS)
    return True
