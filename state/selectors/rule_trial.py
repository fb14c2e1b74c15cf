"""Try an alarm rule against the five-minute rollups of the last week."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from registry.choices import RAISES_ALARMS
from registry.models import Product
from state.choices import Comparison, RollupStep

WEEK = timedelta(days=7)
# A week of one metric is 2,016 rollups a device; some 800,000 are judged a second
# (bench/rule_trial). So larger fleets are sampled, and a page answers within three
# seconds. The sample is by hash: it prefers neither old nor new devices.
MOST_DEVICES = 1_000
WORST = 10

# A bucket raises the alarm if its worst value is beyond the threshold, and clears it if
# that value is back by the hysteresis; in between, and in a gap, nothing changes.
_RAISES = """
    WITH tried AS MATERIALIZED (
        SELECT id, uid FROM registry_device
        WHERE tenant_id = %(tenant)s AND product_id = %(product)s
            AND lifecycle = ANY(%(in_service)s)
        ORDER BY hashint8(id), id LIMIT %(most)s
    ), judged AS MATERIALIZED (
        SELECT d.id, r.at, v.worst,
            v.worst > 0 OR (%(may_touch)s AND v.worst = 0) AS is_beyond
        FROM tried d
        JOIN state_telemetryrollup r ON r.device_id = d.id
            AND r.tenant_id = %(tenant)s AND r.metric = %(metric)s
            AND r.step = %(step)s AND r.at >= %(since)s AND r.at < %(now)s
        CROSS JOIN LATERAL (SELECT CASE WHEN %(is_above)s
            THEN r.maximum - %(threshold)s ELSE %(threshold)s - r.minimum END
        ) AS v(worst)
    ), turns AS (
        SELECT id, at, is_beyond, worst,
            lag(is_beyond) OVER (PARTITION BY id ORDER BY at) AS before
        FROM judged WHERE is_beyond OR -worst >= %(hysteresis)s
    ), spells AS (
        SELECT id, at, is_beyond,
            lead(at, 1, %(now)s) OVER (PARTITION BY id ORDER BY at) AS ends
        FROM turns WHERE is_beyond IS DISTINCT FROM before
    ), raises AS MATERIALIZED (
        SELECT id, at + %(hold)s AS at FROM spells
        WHERE is_beyond AND ends - at >= %(hold)s
    ), days AS (
        SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS day, count(*) AS raises
        FROM raises GROUP BY 1
    ), worst AS (
        SELECT d.uid, count(*) AS raises, max(r.at) AS last_at
        FROM raises r JOIN tried d USING (id)
        GROUP BY d.uid ORDER BY raises DESC, d.uid LIMIT %(worst)s
    )
    SELECT (SELECT count(*) FROM registry_device WHERE tenant_id = %(tenant)s
            AND product_id = %(product)s AND lifecycle = ANY(%(in_service)s)),
        (SELECT count(*) FROM tried),
        (SELECT count(DISTINCT id) FROM judged),
        (SELECT count(DISTINCT id) FROM raises),
        (SELECT count(*) FROM raises),
        ARRAY(SELECT day FROM days ORDER BY day),
        ARRAY(SELECT raises FROM days ORDER BY day),
        ARRAY(SELECT uid FROM worst ORDER BY raises DESC, uid),
        ARRAY(SELECT raises FROM worst ORDER BY raises DESC, uid),
        ARRAY(SELECT last_at FROM worst ORDER BY raises DESC, uid)
"""


@dataclass(frozen=True, slots=True)
class Trial:
    """The part of a rule that decides when an alarm is raised."""

    metric: str
    comparison: str
    threshold: float
    hold_seconds: int = 0
    hysteresis: float = 0.0


def try_rule(product: Product, trial: Trial, *, now: datetime) -> dict[str, Any]:
    """Return the alarms that the rule would have raised in the week before ``now``.

    Coarser than the rule itself, which sees each value: here all values of five minutes
    are one bucket. Maintenance windows are ignored.
    """
    since = now - WEEK
    params: dict[str, Any] = {
        "tenant": product.tenant_id,
        "product": product.pk,
        "in_service": sorted(RAISES_ALARMS),
        "most": MOST_DEVICES,
        "metric": trial.metric,
        "step": int(RollupStep.FIVE_MINUTES),
        "since": since,
        "now": now,
        "is_above": trial.comparison in (Comparison.ABOVE, Comparison.AT_LEAST),
        "may_touch": trial.comparison in (Comparison.AT_LEAST, Comparison.AT_MOST),
        "threshold": trial.threshold,
        "hysteresis": trial.hysteresis,
        "hold": timedelta(seconds=trial.hold_seconds),
        "worst": WORST,
    }
    with connection.cursor() as cursor:
        cursor.execute(_RAISES, params)
        row = cursor.fetchone()
    every, tried, measured, raising, raises, days, by_day, uids, counts, last = row
    of_day = dict(zip(days, by_day, strict=True))
    span = [(since + timedelta(days=n)).date().isoformat() for n in range(8)]
    return {
        "from": since,
        "to": now,
        "devices": {
            "of_product": every,
            "tried": tried,
            "measured": measured,
            "raising": raising,
        },
        "raises": raises,
        "per_day": [{"day": day, "raises": of_day.get(day, 0)} for day in span],
        "worst": [
            {"device": uid, "raises": count, "last_raised_at": at}
            for uid, count, at in zip(uids, counts, last, strict=True)
        ],
    }
