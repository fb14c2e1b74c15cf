"""Which commands a batch of messages affects; ids only, the caller locks them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import connection

from commands.choices import CommandStatus, FailureClass, WaitsFor
from commands.models import Command
from iotplatform.common.bulk_sql import array_of

# A report names no command: later it is rather the effect of something else, as of a
# technician's change. A result names its command, and corrects a verdict at any time.
CORRECTS_FOR = timedelta(days=7)

# Every batch of messages runs these two; the ORM takes ten times as long to write an IN
# of hundreds. The second SELECT repeats the condition of the index of correctable ones.
_VERIFIABLE_BY_REPORTS = f"""
    SELECT id FROM commands_command
    WHERE device_id = ANY(%s::bigint[]) AND expectation IS NOT NULL
        AND attempt_count > 0 AND ended_at IS NULL
    UNION ALL
    SELECT c.id FROM commands_command c
    WHERE c.device_id = ANY(%s::bigint[]) AND c.expectation IS NOT NULL
        AND c.attempt_count > 0 AND c.ended_at > %s
        AND c.status IN ('timed_out', 'unknown', 'expired', 'failed')
        AND (c.status <> '{CommandStatus.FAILED}'
            OR c.failure_class = '{FailureClass.UNVERIFIED}')
        AND NOT EXISTS (SELECT FROM commands_command n
            WHERE n.device_id = c.device_id AND n.name = c.name AND n.id > c.id)
"""
_WAITING_FOR = f"""
    SELECT id FROM commands_command
    WHERE device_id = ANY(%s::bigint[]) AND ended_at IS NULL
        AND status = '{CommandStatus.HELD}' AND (waits_for = '{WaitsFor.DEVICE}'
            OR failure_class = '{FailureClass.GATEWAY_UNREACHABLE}')
"""


def commands_named_by(public_ids: Iterable[UUID | None]) -> set[int]:

    wanted = {public_id for public_id in public_ids if public_id is not None}
    if not wanted:
        return set()
    return set(
        Command.objects.filter(public_id__in=wanted).values_list("pk", flat=True)
    )


def commands_verifiable_by_reports(
    device_ids: Collection[int], *, now: datetime
) -> set[int]:
    """Return the commands of these devices that a reported document may verify.

    Open ones, and those that the platform ended lately, unless a newer command of the
    same name exists: the effect of a newer command proves nothing about an older one.
    """
    if not device_ids:
        return set()
    ids = array_of(list(device_ids))
    with connection.cursor() as cursor:
        cursor.execute(_VERIFIABLE_BY_REPORTS, [ids, ids, now - CORRECTS_FOR])
        return {pk for (pk,) in cursor.fetchall()}


def commands_waiting_for(device_ids: Collection[int]) -> set[int]:
    """Return the held commands that wait for these devices, or for their gateway."""
    if not device_ids:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(_WAITING_FOR, [array_of(list(device_ids))])
        return {pk for (pk,) in cursor.fetchall()}
