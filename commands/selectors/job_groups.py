"""Members of a job that have got its command, and those that have not, side by side.

Each is one statement for any number of members: the evidence of state is counted where
it is stored.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from commands.choices import FailureClass
from commands.judgment.gate_state import Look, Span
from commands.judgment.health_gate import (
    ALARMS,
    DISCONNECTS,
    FAILURES,
    RISK,
    TELEMETRY,
    is_numeric,
)
from commands.judgment.two_sample_test import Group
from commands.models import Job
from commands.selectors.job_tallies import FAILURE
from state.choices import AlarmMove, Connectivity

# Placed by chance (``rollouts.spread``), so the last members stand for all others; more
# would make a look slow and say hardly more.
MOST_CONTROL = 20_000

# When a member got its command: the first that is known. A device's refusal may be
# stored before the broker's word that the command has left.
_EXPOSED = f"""least(c.sent_at, c.received_at, c.running_at, c.succeeded_at,
    CASE WHEN c.failure_class IN ('{FailureClass.REJECTED.value}',
        '{FailureClass.EXECUTION_FAILED.value}') THEN c.ended_at END)"""
_UPDATED = f"""
    SELECT t.device_id, {_EXPOSED} AS since
    FROM commands_jobtarget t JOIN commands_command c ON c.id = t.command_id
    WHERE t.job_id = %(job)s AND {_EXPOSED} > %(after)s
"""
_FRESH = f"""
    SELECT min(since) FILTER (WHERE since <= %(until)s),
        max(since) FILTER (WHERE since > %(until)s)
    FROM ({_UPDATED}) u
"""
# Only devices that were connected when their observation began: the others cannot lose
# a connection, and those that got the command were connected.
_LOOK = f"""
    WITH v AS (
        SELECT u.device_id, u.since, u.since + %(span)s AS until, true AS is_updated
        FROM ({_UPDATED}) u WHERE u.since <= %(until)s
        UNION ALL
        SELECT o.device_id, %(until)s, %(now)s, false FROM (
            SELECT t.device_id
            FROM commands_jobtarget t
            LEFT JOIN commands_command c ON c.id = t.command_id
            WHERE t.job_id = %(job)s AND t.wave IS NOT NULL AND t.skip_reason = ''
                AND {_EXPOSED} IS NULL
            ORDER BY t.id DESC LIMIT {MOST_CONTROL}
        ) o
    ),
    seen AS (
        SELECT v.*, {{value}} AS value
        FROM v
        LEFT JOIN state_presence p ON p.device_id = v.device_id
        LEFT JOIN LATERAL (
            SELECT m.moved_from FROM state_connectivitytransition m
            WHERE m.device_id = v.device_id AND m.at > v.since
            ORDER BY m.at LIMIT 1
        ) first ON true
        WHERE coalesce(first.moved_from, p.connectivity)
            = '{Connectivity.ONLINE.value}'
    ),
    bound AS (
        SELECT CASE WHEN %(numeric)s
            THEN percentile_disc(0.9) WITHIN GROUP (ORDER BY value) ELSE 0 END AS value
        FROM seen WHERE NOT is_updated
    )
    SELECT count(*) FILTER (WHERE is_updated AND s.value IS NOT NULL),
        count(*) FILTER (WHERE is_updated AND s.value > b.value + %(worse_by)s),
        count(*) FILTER (WHERE NOT is_updated AND s.value IS NOT NULL),
        count(*) FILTER (WHERE NOT is_updated AND s.value > b.value),
        max(b.value)
    FROM seen s CROSS JOIN bound b
"""
_VALUES = {
    DISCONNECTS: """(EXISTS (SELECT FROM state_connectivitytransition e
        WHERE e.device_id = v.device_id AND e.at > v.since AND e.at <= v.until
            AND e.is_abnormal))::int""",
    ALARMS: f"""(EXISTS (SELECT FROM state_alarmchange e
        WHERE e.device_id = v.device_id AND e.at > v.since AND e.at <= v.until
            AND e.move = '{AlarmMove.RAISED.value}'
            AND (%(code)s::text IS NULL OR e.code = %(code)s)))::int""",
    FAILURES: """(EXISTS (SELECT FROM commands_command e
        WHERE e.device_id = v.device_id AND e.ended_at >= v.since
            AND e.ended_at <= v.until AND e.status = ANY(%(failed)s)))::int""",
    RISK: """coalesce((SELECT r.score FROM state_risk r
        WHERE r.device_id = v.device_id), 0)""",
    # Of a metric only what was measured after the member got its command.
    TELEMETRY: """(SELECT (s.latest -> %(metric)s ->> 'value')::float8
        FROM state_telemetrysummary s WHERE s.device_id = v.device_id
            AND (s.latest -> %(metric)s ->> 'at')::timestamptz > v.since)""",
}
_ADAPTERS = """
    SELECT DISTINCT d.adapter
    FROM commands_jobtarget t JOIN registry_device d ON d.id = t.device_id
    WHERE t.job_id = %s AND t.skip_reason = '' ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Fresh:
    """When members got their command that a span has not counted yet."""

    oldest_ready: datetime | None  # observed for the whole span
    newest_young: datetime | None  # not observed for long enough


def find_fresh(job: Job, span: Span, *, now: datetime) -> Fresh:
    """Return from when the members are that a span has still to count."""
    with connection.cursor() as cursor:
        cursor.execute(_FRESH, _times(job, span, now))
        return Fresh(*cursor.fetchone())


def look_at_members(
    job: Job, gate: dict[str, Any], span: Span, *, now: datetime
) -> Look:
    """Count the members that a span has not counted, against those without a command.

    Of a numeric metric a value is bad above the 90th percentile of those without a
    command, the updated one's by more than what is tolerated.
    """
    metric, _, name = gate["metric"].partition(":")
    statement = _LOOK.format(value=_VALUES[f"{metric}:" if name else metric])
    numeric = is_numeric(gate)
    values = _times(job, span, now) | {
        "numeric": numeric,
        "worse_by": gate["worse_by"] if numeric else 0,
        "code": gate["alarm_code"],
        "metric": name,
        "failed": [str(status) for status in FAILURE],
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        updated, bad, control, bad_control, limit = cursor.fetchone()
    return Look(
        Group(updated, bad), Group(control, bad_control), limit if numeric else None
    )


def list_adapters(job: Job) -> list[str]:
    """Return the adapters of the job's members."""
    with connection.cursor() as cursor:
        cursor.execute(_ADAPTERS, [job.pk])
        return [adapter for (adapter,) in cursor]


def _times(job: Job, span: Span, now: datetime) -> dict[str, Any]:
    return {
        "job": job.pk,
        "after": span.counted_until,
        "until": now - span.length,
        "span": span.length,
        "now": now,
    }
