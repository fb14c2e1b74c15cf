"""Delivery statistics, in bulk, for the platform page and the judgments of state."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count

from commands.choices import CommandStatus
from commands.models import Command
from registry.choices import Adapter

S = CommandStatus
LATENCY_WINDOW = timedelta(hours=1)
# An adapter's delivery now is judged by the attempts of this long, compared with the
# day before.
DELIVERY_WINDOW = timedelta(minutes=15)
USUAL_WINDOW = timedelta(hours=24)
RECENT_COMMANDS = 20  # the newest of a device: a device that recovers shows it soon

LATENCY = """
    SELECT adapter,
           percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (
               ORDER BY EXTRACT(EPOCH FROM received_at - sent_at) * 1000
           )
    FROM commands_attempt
    WHERE received_at >= %s AND sent_at IS NOT NULL AND received_at >= sent_at
    GROUP BY adapter
"""
# A cancelled or superseded command is no failure.
OUTCOMES = """
    SELECT d.id, count(*) FILTER (WHERE c.is_counted),
        count(*) FILTER (WHERE c.is_failed),
        max(c.ended_at) FILTER (WHERE c.is_failed)
    FROM unnest(%s::bigint[]) AS d(id)
    LEFT JOIN LATERAL (
        SELECT ended_at, status NOT IN ('cancelled', 'superseded') AS is_counted,
            status IN ('failed', 'timed_out', 'unknown', 'expired') AS is_failed
        FROM (
            SELECT status, ended_at FROM commands_command
            WHERE device_id = d.id ORDER BY id DESC LIMIT %s
        ) newest
        WHERE ended_at IS NOT NULL
    ) c ON true
    GROUP BY d.id
"""
# An attempt without an answer has no received_at: it is found by its claim.
DELIVERIES = """
    SELECT p.adapter, coalesce(lately.tries, 0), coalesce(lately.unanswered, 0),
        answered.quantiles[1], answered.quantiles[2], usual.p95
    FROM (SELECT unnest(%(adapters)s::text[]) AS adapter) p
    LEFT JOIN (
        SELECT adapter, count(*) AS tries,
            count(*) FILTER (WHERE
                outcome IN ('no_ack', 'not_sent', 'lost', 'interrupted'))
                AS unanswered
        FROM commands_attempt
        WHERE claimed_at >= %(since)s AND outcome NOT IN ('claimed', 'sent', 'stopped')
        GROUP BY adapter
    ) lately USING (adapter)
    LEFT JOIN (
        SELECT adapter, percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (
            ORDER BY EXTRACT(EPOCH FROM received_at - sent_at) * 1000) AS quantiles
        FROM commands_attempt
        WHERE received_at >= %(since)s AND received_at >= sent_at GROUP BY adapter
    ) answered USING (adapter)
    LEFT JOIN (
        SELECT adapter, percentile_cont(0.95) WITHIN GROUP (
            ORDER BY EXTRACT(EPOCH FROM received_at - sent_at) * 1000) AS p95
        FROM commands_attempt
        WHERE received_at >= %(usual_since)s AND received_at < %(since)s
            AND received_at >= sent_at
        GROUP BY adapter
    ) usual USING (adapter)
    ORDER BY p.adapter
"""


def adapter_latencies(*, now: datetime) -> dict[str, dict[str, float | None]]:
    """Return for each adapter how long sent → received took in the last hour."""
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
    """Return the number of open commands of each status."""
    rows = (
        Command.objects.filter(ended_at__isnull=True)
        .values("status")
        .annotate(total=Count("id"))
        .values_list("status", "total")
    )
    found = dict(rows)
    still_open = (S.HELD, S.QUEUED, S.SENT, S.RECEIVED, S.RUNNING, S.SUCCEEDED)
    return {f"commands_{status}": found.get(status, 0) for status in still_open}


def get_command_outcomes(device_ids: Collection[int]) -> list[tuple[Any, ...]]:
    """Return (device, ended, failed, last failure) of each device's newest commands."""
    with connection.cursor() as cursor:
        cursor.execute(OUTCOMES, [sorted(device_ids), RECENT_COMMANDS])
        return list(cursor.fetchall())


def get_delivery_stats(*, now: datetime) -> list[tuple[Any, ...]]:
    """Return (adapter, attempts, unanswered, p50, p95, usual p95) of each adapter."""
    since = now - DELIVERY_WINDOW
    with connection.cursor() as cursor:
        cursor.execute(
            DELIVERIES,
            {
                "since": since,
                "usual_since": since - USUAL_WINDOW,
                "adapters": [adapter.value for adapter in Adapter],
            },
        )
        return list(cursor.fetchall())


def _rounded(measured: dict[str, Any], adapter: Adapter, index: int) -> float | None:
    row = measured.get(adapter.value)
    return None if row is None else round(float(row[index]), 1)
