"""The history of a metric, from its rollups."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from registry.models import Device
from state.choices import RollupStep
from state.exceptions import MetricHistoryRefused
from state.models import TelemetryRollup

# Bounds the answer: hours of all kept partitions, or five minutes of a good week.
MOST_POINTS = 2_500
# A chart has room for so many; "auto" takes wider buckets for more.
CHART_POINTS = 600
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


def get_metric_history(
    device: Device,
    *,
    metric: str,
    from_at: datetime,
    to_at: datetime,
    step: int | None = None,
) -> dict[str, Any]:
    """Return the buckets of a metric, the oldest first; without a step, one that fits.

    Buckets without values are left out. Raises MetricHistoryRefused if the range is
    empty, or has too many buckets of that step.
    """
    if from_at >= to_at:
        raise _refused("The start must be before the end of the range.")
    from_at = max(from_at, EARLIEST)
    seconds = (to_at - from_at).total_seconds()
    if step is None:
        fits = seconds / RollupStep.FIVE_MINUTES <= CHART_POINTS
        step = RollupStep.FIVE_MINUTES if fits else RollupStep.HOUR
    if seconds / step > MOST_POINTS:
        longest = timedelta(seconds=step * MOST_POINTS)
        hours = round(longest.total_seconds() / 3600)
        raise _refused(f"With a step of {step} s the range is at most {hours} hours.")
    first = int(from_at.timestamp()) // step * step
    rows = TelemetryRollup.objects.filter(
        device=device,
        tenant=device.tenant_id,  # values of an earlier owner are not shown
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


def _refused(message: str) -> MetricHistoryRefused:
    return MetricHistoryRefused(errors=[{"field": "from", "message": message}])


def _point(row: TelemetryRollup) -> dict[str, Any]:
    return {
        "at": row.at,
        "min": row.minimum,
        "max": row.maximum,
        # Rounding may put the mean of equal values outside of their range.
        "mean": min(max(row.total / row.count, row.minimum), row.maximum),
        "last": row.last,
        "count": row.count,
    }
