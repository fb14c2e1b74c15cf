"""What the fleet's documents and the platform page say of commands, in bulk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count

from commands.lifecycle import CommandStatus
from commands.models import Command
from registry.lifecycle import Adapter

S = CommandStatus
# The failure rate is over a device's newest commands, so that it moves when it heals.
RECENT = 20
LATENCY_WINDOW = timedelta(hours=1)


@dataclass(frozen=True)
class CommandFacts:
    """What a device's document says of its commands."""

    device_id: int
    pending_commands: int
    oldest_unacked_at: datetime | None
    last_ack_at: datetime | None
    # Failed among those of the newest that ended; null when none has ended.
    command_failure_rate: float | None
    last_command: str | None
    last_command_status: str | None
    last_command_at: datetime | None
    last_command_failure_class: str | None


FACTS = f"""
    SELECT d.id, pending.total, pending.unacked, recent.acked,
           recent.failed::float / NULLIF(recent.ended, 0),
           last.name, last.status, last.created_at, NULLIF(last.failure_class, '')
    FROM unnest(%s::bigint[]) AS d(id)
    CROSS JOIN LATERAL (
        SELECT count(*) AS total,
               min(sent_at) FILTER (WHERE received_at IS NULL) AS unacked
        FROM commands_command WHERE device_id = d.id AND ended_at IS NULL
    ) pending
    CROSS JOIN LATERAL (
        SELECT max(received_at) AS acked,
               count(*) FILTER (WHERE ended_at IS NOT NULL
                   AND status NOT IN ('cancelled', 'superseded')) AS ended,
               count(*) FILTER (
                   WHERE status IN ('failed', 'timed_out', 'unknown', 'expired')
               ) AS failed
        FROM (
            SELECT status, ended_at, received_at FROM commands_command
            WHERE device_id = d.id ORDER BY id DESC LIMIT {RECENT}
        ) newest
    ) recent
    LEFT JOIN LATERAL (
        SELECT name, status, created_at, failure_class FROM commands_command
        WHERE device_id = d.id ORDER BY id DESC LIMIT 1
    ) last ON true
"""

LATENCY = """
    SELECT adapter,
           percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (
               ORDER BY EXTRACT(EPOCH FROM received_at - sent_at) * 1000
           )
    FROM commands_attempt
    WHERE received_at >= %s AND sent_at IS NOT NULL AND received_at >= sent_at
    GROUP BY adapter
"""


def open_command_facts(device_ids: Sequence[int]) -> dict[int, CommandFacts]:
    """Return what each device's document says of its commands, in one query."""
    with connection.cursor() as cursor:
        cursor.execute(FACTS, [list(device_ids)])
        return {row[0]: CommandFacts(*row) for row in cursor.fetchall()}


def adapter_latencies(*, now: datetime) -> dict[str, dict[str, float | None]]:
    """Return, for each adapter, how long sent → received took in the last hour."""
    with connection.cursor() as cursor:
        cursor.execute(LATENCY, [now - LATENCY_WINDOW])
        measured = dict(cursor.fetchall())
    return {
        adapter.value: {
            "latency_p50_ms": _rounded(measured, adapter, 0),
            "latency_p95_ms": _rounded(measured, adapter, 1),
        }
        for adapter in Adapter
    }


def queue_depths_across_tenants() -> dict[str, int]:
    """Return how many open commands stand at each status."""
    rows = (
        Command.objects.filter(ended_at__isnull=True)
        .values("status")
        .annotate(total=Count("id"))
        .values_list("status", "total")
    )
    found = dict(rows)
    still_open = (S.HELD, S.QUEUED, S.SENT, S.RECEIVED, S.RUNNING, S.SUCCEEDED)
    return {f"commands_{status}": found.get(status, 0) for status in still_open}


def _rounded(measured: dict[str, Any], adapter: Adapter, index: int) -> float | None:
    row = measured.get(adapter.value)
    return None if row is None else round(float(row[index]), 1)
