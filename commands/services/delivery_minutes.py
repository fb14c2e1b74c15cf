"""Counting attempts into minutes: each is read once, however often it is judged."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction

from commands.latency_buckets import BUCKET_SQL
from commands.models import DeliveryMinute
from commands.selectors.delivery_stats import MINUTES_KEPT, counted_until
from iotplatform.common import bulk_sql

# An answer is visible only when its batch commits.
COMMITTED_WITHIN = timedelta(seconds=5)
LOCK = 7_305_901  # any number that no other advisory lock has

_ANSWERED = f"""
    WITH fresh AS (
        SELECT adapter, date_trunc('minute', received_at) AS minute,
            CASE WHEN received_at >= sent_at THEN {BUCKET_SQL} END AS bucket,
            count(*) AS attempts
        FROM commands_attempt WHERE received_at > %s AND received_at <= %s
        GROUP BY 1, 2, 3
    )
    INSERT INTO commands_deliveryminute AS m
        (adapter, minute, answered, unanswered, latencies, counted_until)
    SELECT adapter, minute, sum(attempts), 0, coalesce(
        jsonb_object_agg(bucket, attempts) FILTER (WHERE bucket IS NOT NULL), '{{}}'
    ), %s
    FROM fresh GROUP BY adapter, minute ORDER BY minute, adapter
    ON CONFLICT (minute, adapter) DO UPDATE SET
        answered = m.answered + excluded.answered,
        counted_until = excluded.counted_until,
        latencies = coalesce((
            SELECT jsonb_object_agg(key, attempts) FROM (
                SELECT key, sum(value::int) AS attempts FROM (
                    SELECT * FROM jsonb_each_text(m.latencies)
                    UNION ALL SELECT * FROM jsonb_each_text(excluded.latencies)
                ) pairs GROUP BY key
            ) sums
        ), '{{}}')
"""
_UNANSWERED = """
    INSERT INTO commands_deliveryminute AS m
        (adapter, minute, answered, unanswered, latencies)
    SELECT adapter, date_trunc('minute', %s::timestamptz), 0, count(*), '{}'
    FROM unnest(%s::text[]) AS closed(adapter) GROUP BY adapter ORDER BY adapter
    ON CONFLICT (minute, adapter) DO UPDATE
        SET unanswered = m.unanswered + excluded.unanswered
"""


@transaction.atomic
def count_answered(*, now: datetime) -> None:
    """Add the answers since the last count to their minutes; one worker at a time."""
    ((is_mine,),) = bulk_sql.fetch("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
    if is_mine:
        until = now - COMMITTED_WITHIN
        bulk_sql.run(_ANSWERED, [counted_until(now=now), until, until])


def count_unanswered(adapters: Sequence[str], *, now: datetime) -> None:
    """Count attempts that were closed without an answer; one adapter name for each."""
    if adapters:
        bulk_sql.run(_UNANSWERED, [now, list(adapters)])


def delete_old_minutes(*, now: datetime) -> int:
    """Delete the minutes of more than two days ago; return how many."""
    return DeliveryMinute.objects.filter(minute__lt=now - MINUTES_KEPT).delete()[0]
