"""The course of a metric over time, from its rollups."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from registry.models import Device
from state.choices import RollupStep
from state.exceptions import CourseRefused
from state.models import TelemetryRollup

# A bounded answer: hours of all that is kept, or five minutes of a good week.
MOST_POINTS = 2_500
# What a chart has room for: from there on "auto" takes the wider buckets.
CHART_POINTS = 600
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


def get_course(
    device: Device,
    *,
    metric: str,
    from_at: datetime,
    to_at: datetime,
    step: int | None = None,
) -> dict[str, Any]:
    """Return the buckets of a metric, the oldest first; without a step, one that fits.

    A bucket in which nothing was measured is not there: a gap stays a gap. Raises
    CourseRefused where the range is none, or has too many buckets of that step.
    """
    if from_at >= to_at:
        raise _refused("It is not before the end of the range.")
    from_at = max(from_at, EARLIEST)
    seconds = (to_at - from_at).total_seconds()
    if step is None:
        fits = seconds / RollupStep.FIVE_MINUTES <= CHART_POINTS
        step = RollupStep.FIVE_MINUTES if fits else RollupStep.HOUR
    if seconds / step > MOST_POINTS:
        longest = timedelta(seconds=step * MOST_POINTS)
        hours = round(longest.total_seconds() / 3600)
        raise _refused(f"With a step of {step} s a range is at most {hours} hours.")
    first = int(from_at.timestamp()) // step * step
    rows = TelemetryRollup.objects.filter(
        device=device,
        tenant=device.tenant_id,  # an earlier owner's is not shown
        metric=metric,
        step=step,
        at__gte=datetime.fromtimestamp(first, UTC),
        at__lt=to_at,
    )
    units = {row["name"]: row.get("unit") for row in device.product.metrics}
    return {
        "device": device.uid,
        "metric": metric,
        "unit": units.get(metric),
        "step": int(step),
        "from": from_at,
        "to": to_at,
        "points": [_point(row) for row in rows.order_by("at")],
    }


def _refused(message: str) -> CourseRefused:
    return CourseRefused(errors=[{"field": "from", "message": message}])


def _point(row: TelemetryRollup) -> dict[str, Any]:
    return {
        "at": row.at,
        "min": row.minimum,
        "max": row.maximum,
        # Rounding may carry the mean of equal values past them.
        "mean": min(max(row.total / row.count, row.minimum), row.maximum),
        "last": row.last,
        "count": row.count,
    }
