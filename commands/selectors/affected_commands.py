"""Which commands a device's word concerns; ids only, to be locked by the caller."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from uuid import UUID

from django.db import connection

from commands.choices import CommandStatus, FailureClass, WaitsFor
from commands.models import Command
from iotplatform.common.bulk_sql import array_of

# Every batch of messages asks these two; the ORM's IN of hundreds takes ten times as
# long to write. What may still be corrected is said in the words of its index.
_CONCERNED_BY_REPORTS = f"""
    SELECT id FROM commands_command
    WHERE device_id = ANY(%s::bigint[]) AND expectation IS NOT NULL
        AND attempt_count > 0 AND ended_at IS NULL
    UNION ALL
    SELECT c.id FROM commands_command c
    WHERE c.device_id = ANY(%s::bigint[]) AND c.expectation IS NOT NULL
        AND c.attempt_count > 0
        AND c.status IN ('timed_out', 'unknown', 'expired', 'failed')
        AND (c.status <> '{CommandStatus.FAILED}'
            OR c.failure_class = '{FailureClass.UNVERIFIED}')
        AND NOT EXISTS (SELECT FROM commands_command n
            WHERE n.device_id = c.device_id AND n.name = c.name AND n.id > c.id)
"""
_WAITING_FOR = f"""
    SELECT id FROM commands_command
    WHERE device_id = ANY(%s::bigint[]) AND ended_at IS NULL
        AND status = '{CommandStatus.HELD}' AND waits_for = '{WaitsFor.DEVICE}'
"""


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
    ids = array_of(list(device_ids))
    with connection.cursor() as cursor:
        cursor.execute(_CONCERNED_BY_REPORTS, [ids, ids])
        return {pk for (pk,) in cursor.fetchall()}


def waiting_for(device_ids: Collection[int]) -> set[int]:
    """Return the held commands that wait for one of these devices."""
    if not device_ids:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(_WAITING_FOR, [array_of(list(device_ids))])
        return {pk for (pk,) in cursor.fetchall()}
