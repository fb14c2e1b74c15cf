"""Commands behind a gateway: few at a time, and none while it is away."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from commands.choices import (
    CommandClass,
    CommandStatus,
    FailureClass,
    WaitsFor,
)
from commands.selectors.claimed import ClaimedCommand
from commands.services import retry_policy
from commands.services.adapter_wakeup import wake_adapters
from commands.services.transitions import Moves, lock_commands
from iotplatform.common import bulk_sql
from state.selectors import GATEWAY_AWAY, deliverability_of

MOST_IN_FLIGHT = 20
LOCK_CLASS = 0x47415445  # "GATE", to differ from other advisory locks

# One claim at a time looks at the room behind a gateway; the locks end with the claim.
_LOCK = """
    SELECT count(pg_advisory_xact_lock(%s, g.id::int))
    FROM (SELECT id FROM unnest(%s::bigint[]) AS v(id) ORDER BY id) g
"""
_IN_FLIGHT = """
    SELECT d.gateway_id, count(*) FROM registry_device d
    JOIN commands_command c ON c.device_id = d.id
    WHERE d.gateway_id = ANY(%s::bigint[]) AND c.ended_at IS NULL
        AND (c.status IN ('sent', 'received', 'running')
            OR c.status = 'queued' AND c.claim_token IS NOT NULL)
        AND c.id <> ALL(%s::bigint[])
    GROUP BY d.gateway_id
"""
# What is queued takes the room first.
_RELEASABLE = f"""
    WITH waiting AS MATERIALIZED (
        SELECT c.id, d.gateway_id, row_number() OVER (
            PARTITION BY d.gateway_id ORDER BY c.lane, c.id) AS place
        FROM commands_command c JOIN registry_device d ON d.id = c.device_id
        WHERE c.status = 'held' AND c.waits_for = 'gateway' AND c.failure_class = ''
    ), busy AS (
        SELECT d.gateway_id, count(*) AS commands FROM registry_device d
        JOIN commands_command c ON c.device_id = d.id
        WHERE d.gateway_id IN (SELECT gateway_id FROM waiting) AND c.ended_at IS NULL
            AND c.status IN ('queued', 'sent', 'received', 'running')
        GROUP BY d.gateway_id
    )
    SELECT id FROM waiting LEFT JOIN busy USING (gateway_id)
    WHERE place <= {MOST_IN_FLIGHT} - coalesce(commands, 0)
    ORDER BY id LIMIT %s
"""


# Of children whose gateway can relay again, or who have another one or none now.
_GATEWAY_IS_BACK = f"""
    SELECT c.id FROM commands_command c
    JOIN registry_device d ON d.id = c.device_id
    LEFT JOIN state_presence g ON g.device_id = d.gateway_id
    WHERE c.status = 'held' AND c.waits_for = 'gateway'
        AND c.failure_class = '{FailureClass.GATEWAY_UNREACHABLE}'
        AND (d.gateway_id IS NULL OR g.connectivity = 'online'
            OR g.cause = 'platform_blind')
    ORDER BY c.id LIMIT %s
"""
# The others were refused when they were asked for, or are retained for the gateway.
WAITING_CLASSES = frozenset({CommandClass.JOB, CommandClass.OPERATION})


def hold_back(
    commands: Sequence[ClaimedCommand], *, now: datetime
) -> list[ClaimedCommand]:
    """Hold claimed commands whose gateway is away, or has no room for them.

    Return the others. To be called in the transaction of the claim.
    """
    gateways = {c.gateway_id for c in commands if c.gateway_id is not None}
    if not gateways:
        return list(commands)
    wanted = sorted(gateways)
    bulk_sql.fetch(_LOCK, [LOCK_CLASS, wanted])
    claimed = [command.pk for command in commands]
    in_flight: dict[int, int] = dict(bulk_sql.fetch(_IN_FLIGHT, [wanted, claimed]))
    behind = [c.device_id for c in commands if c.gateway_id is not None]
    away = deliverability_of(behind)
    kept: list[ClaimedCommand] = []
    unreachable, held = set(), set()
    for command in commands:
        gateway_id = command.gateway_id
        is_away = away.get(command.device_id) == GATEWAY_AWAY
        if is_away and command.command_class in WAITING_CLASSES:
            unreachable.add(command.pk)
            continue
        if gateway_id is None or in_flight.get(gateway_id, 0) < MOST_IN_FLIGHT:
            kept.append(command)
            if gateway_id is not None:
                in_flight[gateway_id] = in_flight.get(gateway_id, 0) + 1
        else:
            held.add(command.pk)
    _hold(unreachable, held, now=now)
    return kept


def _hold(unreachable: set[int], without_room: set[int], *, now: datetime) -> None:
    moves = Moves(now=now)
    for command in lock_commands(unreachable | without_room).values():
        command.attempt_count -= 1  # no attempt was made
        if command.pk in unreachable:
            retry_policy.wait_for_gateway(command, moves, cause="not sent")
            continue
        moves.move(
            command,
            CommandStatus.HELD,
            cause=f"{MOST_IN_FLIGHT} commands are in flight behind its gateway",
            due_at=command.expires_at,
            waits_for=WaitsFor.GATEWAY,
        )
    moves.write()


@transaction.atomic
def release_behind_gateways_across_tenants(*, now: datetime, limit: int) -> int:
    """Queue commands that waited for room behind their gateway; return how many."""
    ids = [pk for (pk,) in bulk_sql.fetch(_RELEASABLE, [limit])]
    moves = Moves(now=now)
    for command in lock_commands(ids, skip_locked=True).values():
        if command.waits_for == WaitsFor.GATEWAY and not command.failure_class:
            cause = "there is room behind its gateway"
            moves.move(command, CommandStatus.QUEUED, cause=cause, due_at=now)
    moves.write()
    if moves.changed:
        wake_adapters()
    return len(moves.changed)


@transaction.atomic
def notice_gateways_that_are_back_across_tenants(*, now: datetime, limit: int) -> int:
    """Let commands wait for room whose gateway is back; return how many.

    All of them at once would be too many for it.
    """
    ids = [pk for (pk,) in bulk_sql.fetch(_GATEWAY_IS_BACK, [limit])]
    moves = Moves(now=now)
    for command in lock_commands(ids, skip_locked=True).values():
        if command.waits_for == WaitsFor.GATEWAY:
            command.failure_class = ""
            moves.note(command, "its gateway is online again")
    moves.write()
    return len(moves.changed)
