"""What the platform page says of commands, in bulk."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count

from commands.lifecycle import CommandStatus
from commands.models import Command
from registry.lifecycle import Adapter

S = CommandStatus
LATENCY_WINDOW = timedelta(hours=1)


LATENCY = """
    SELECT adapter,
           percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (
               ORDER BY EXTRACT(EPOCH FROM received_at - sent_at) * 1000
           )
    FROM commands_attempt
    WHERE received_at >= %s AND sent_at IS NOT NULL AND received_at >= sent_at
    GROUP BY adapter
"""


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
