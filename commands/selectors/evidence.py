"""Which commands a device's word concerns; ids only, to be locked by the caller."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from uuid import UUID

from django.db.models import Exists, OuterRef, Q

from commands.lifecycle import CommandStatus, FailureClass, WaitsFor
from commands.models import Command

S = CommandStatus


def concerned_by_evidence(public_ids: Iterable[UUID | None]) -> set[int]:
    """Return the keys of the commands that are named."""
    wanted = {public_id for public_id in public_ids if public_id is not None}
    if not wanted:
        return set()
    return set(
        Command.objects.filter(public_id__in=wanted).values_list("pk", flat=True)
    )


def concerned_by_reports(device_ids: Collection[int]) -> set[int]:
    """Return the commands of these devices that a reported document may verify.

    Open ones, and those that ended by a verdict of ours while nothing newer of that
    name was asked: what a later command brought about proves nothing of an older one.
    """
    if not device_ids:
        return set()
    sent = Command.objects.filter(
        device_id__in=device_ids, expectation__isnull=False, attempt_count__gt=0
    )
    still_open = sent.filter(ended_at__isnull=True)
    newer = Command.objects.filter(
        device_id=OuterRef("device_id"), name=OuterRef("name"), pk__gt=OuterRef("pk")
    )
    correctable = sent.filter(
        Q(status__in=[S.TIMED_OUT, S.UNKNOWN, S.EXPIRED])
        | Q(status=S.FAILED, failure_class=FailureClass.UNVERIFIED),
        # Said again with the index's own words, so that the planner sees it fits.
        Q(status__in=[S.TIMED_OUT, S.UNKNOWN, S.EXPIRED, S.FAILED]),
    ).exclude(Exists(newer))
    return {*still_open.values_list("pk", flat=True)} | {
        *correctable.values_list("pk", flat=True)
    }


def waiting_for(device_ids: Collection[int]) -> set[int]:
    """Return the held commands that wait for one of these devices."""
    if not device_ids:
        return set()
    held = Command.objects.filter(
        device_id__in=device_ids,
        ended_at__isnull=True,
        status=S.HELD,
        waits_for=WaitsFor.DEVICE,
    )
    return set(held.values_list("pk", flat=True))
