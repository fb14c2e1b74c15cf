"""Delivery statistics, in bulk, for the platform page and the judgments of state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Count

from commands.choices import CommandStatus
from commands.latency_buckets import BUCKET_SQL, percentile
from commands.models import Command, DeliveryMinute
from registry.choices import Adapter

S = CommandStatus
LATENCY_WINDOW = timedelta(hours=1)
# An adapter's delivery now is judged by the attempts of this long, compared with the
# day before.
DELIVERY_WINDOW = timedelta(minutes=15)
USUAL_WINDOW = timedelta(hours=24)
MINUTES_KEPT = timedelta(hours=48)
RECENT_COMMANDS = 20  # the newest of a device: a device that recovers shows it soon

_TALLIES = """
    SELECT adapter, sum(answered + unanswered), sum(unanswered)
    FROM commands_deliveryminute WHERE minute >= %s GROUP BY adapter
"""
_COUNTED = """
    SELECT m.adapter, l.key::int, sum(l.value::int)
    FROM commands_deliveryminute m CROSS JOIN LATERAL jsonb_each_text(m.latencies) l
    WHERE m.minute >= %s AND m.minute < %s GROUP BY 1, 2
"""
# The answers of the last seconds, which are in no minute yet.
_UNCOUNTED = f"""
    SELECT adapter, {BUCKET_SQL}, count(*) FROM commands_attempt
    WHERE received_at > %s AND received_at >= sent_at GROUP BY 1, 2
"""
Histogram = dict[int, int]

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


def adapter_latencies(*, now: datetime) -> dict[str, dict[str, float | None]]:
    """Return for each adapter how long sent → received took in the last hour."""
    measured = _histograms(_UNCOUNTED, counted_until(now=now))
    for adapter, counts in _histograms(_COUNTED, now - LATENCY_WINDOW, now).items():
        for bucket, attempts in counts.items():
            own = measured[adapter]
            own[bucket] = own.get(bucket, 0) + attempts
    return {
        adapter.value: {
            "latency_p50_ms": _rounded(measured[adapter.value], 0.5),
            "latency_p95_ms": _rounded(measured[adapter.value], 0.95),
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
    """Return (adapter, attempts, unanswered, p50, p95, usual p95) of each adapter.

    An attempt counts in the minute in which it was answered, or given up.
    """
    since = (now - DELIVERY_WINDOW).replace(second=0, microsecond=0)
    with connection.cursor() as cursor:
        cursor.execute(_TALLIES, [since])
        tallies = {adapter: (total, missed) for adapter, total, missed in cursor}
    lately = _histograms(_COUNTED, since, now)
    usual = _histograms(_COUNTED, since - USUAL_WINDOW, since)
    return [
        (
            adapter.value,
            *tallies.get(adapter.value, (0, 0)),
            percentile(lately[adapter.value], 0.5),
            percentile(lately[adapter.value], 0.95),
            percentile(usual[adapter.value], 0.95),
        )
        for adapter in sorted(Adapter, key=str)
    ]


def counted_until(*, now: datetime) -> datetime:
    """Return until when the answers of attempts are counted in minutes."""
    counted = DeliveryMinute.objects.filter(
        minute__gte=now - MINUTES_KEPT, counted_until__isnull=False
    )
    newest = counted.order_by("-counted_until").values_list("counted_until", flat=True)
    return newest.first() or now - MINUTES_KEPT


def _histograms(statement: str, *params: datetime) -> dict[str, Histogram]:
    found: dict[str, Histogram] = defaultdict(dict)
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        for adapter, bucket, attempts in cursor:
            found[adapter][bucket] = attempts
    return found


def _rounded(counts: Histogram, share: float) -> float | None:
    found = percentile(counts, share)
    return None if found is None else round(found, 1)
