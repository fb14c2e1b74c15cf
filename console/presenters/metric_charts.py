"""The metric charts of a device: metrics, time window, bucket size."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.urls import reverse

from state.choices import RollupStep
from state.selectors.metric_history import get_metric_history

if TYPE_CHECKING:
    from registry.models import Device

# Name → label, length, bucket size: a chart has room for a few hundred points.
WINDOWS: dict[str, tuple[str, timedelta, RollupStep]] = {
    "6h": ("6 hours", timedelta(hours=6), RollupStep.FIVE_MINUTES),
    "24h": ("24 hours", timedelta(hours=24), RollupStep.FIVE_MINUTES),
    "7d": ("7 days", timedelta(days=7), RollupStep.HOUR),
    "30d": ("30 days", timedelta(days=30), RollupStep.HOUR),
}
DEFAULT_WINDOW = "24h"
MAX_CHARTS = 4


def build_metric_charts(
    device: Device, measured: list[str], *, window: str, now: datetime
) -> dict[str, Any]:
    """Return the charts of a device's metrics; declared metrics come first.

    An unknown window becomes the default one: people edit addresses by hand.
    """
    window = window if window in WINDOWS else DEFAULT_WINDOW
    _, length, step = WINDOWS[window]
    declared = [row["name"] for row in device.product.metrics]
    names = list(dict.fromkeys([*(n for n in declared if n in measured), *measured]))
    histories = [
        get_metric_history(
            device, metric=name, from_at=now - length, to_at=now, step=step
        )
        for name in names[:MAX_CHARTS]
    ]
    return {
        "charts": [history | _summary(history) for history in histories],
        "left_out": names[MAX_CHARTS:],
        "windows": [
            {
                "label": label,
                "is_here": name == window,
                "url": f"{reverse('console:device-metrics', args=[device.uid])}"
                f"?{urlencode({'window': name})}",
                "page_url": f"?{urlencode({'window': name})}#course",
            }
            for name, (label, _, _) in WINDOWS.items()
        ],
        "window_label": WINDOWS[window][0],
    }


def _summary(history: dict[str, Any]) -> dict[str, Any]:
    """Return what the chart says in one line, for people who cannot see it."""
    points = history["points"]
    if not points:
        return {"lowest": None, "highest": None, "newest": None}
    return {
        "lowest": min(point["min"] for point in points),
        "highest": max(point["max"] for point in points),
        "newest": points[-1]["last"],
    }
