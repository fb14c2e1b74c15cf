"""The charts of a device: which metrics, over which time, from which buckets."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.urls import reverse

from state.choices import RollupStep
from state.selectors.metric_history import get_course

if TYPE_CHECKING:
    from registry.models import Device

# Name → how long, and of which buckets: a chart has room for some hundred points.
WINDOWS: dict[str, tuple[str, timedelta, RollupStep]] = {
    "6h": ("6 hours", timedelta(hours=6), RollupStep.FIVE_MINUTES),
    "24h": ("24 hours", timedelta(hours=24), RollupStep.FIVE_MINUTES),
    "7d": ("7 days", timedelta(days=7), RollupStep.HOUR),
    "30d": ("30 days", timedelta(days=30), RollupStep.HOUR),
}
USUAL = "24h"
MOST_CHARTS = 4


def courses_of(
    device: Device, measured: list[str], *, window: str, now: datetime
) -> dict[str, Any]:
    """Return the charts of a device's metrics, those that its product declares first.

    An unknown window is the usual one: it stands in an address that people edit.
    """
    window = window if window in WINDOWS else USUAL
    _, long, step = WINDOWS[window]
    declared = [row["name"] for row in device.product.metrics]
    names = list(dict.fromkeys([*(n for n in declared if n in measured), *measured]))
    courses = [
        get_course(device, metric=name, from_at=now - long, to_at=now, step=step)
        for name in names[:MOST_CHARTS]
    ]
    return {
        "courses": [course | _said(course) for course in courses],
        "left_out": names[MOST_CHARTS:],
        "windows": [
            {
                "label": label,
                "is_here": name == window,
                "url": f"{reverse('console:device-course', args=[device.uid])}"
                f"?{urlencode({'window': name})}",
                "page_url": f"?{urlencode({'window': name})}#course",
            }
            for name, (label, _, _) in WINDOWS.items()
        ],
        "window_label": WINDOWS[window][0],
    }


def _said(course: dict[str, Any]) -> dict[str, Any]:
    """Add what a chart says in one line, for those who do not see it."""
    points = course["points"]
    if not points:
        return {"lowest": None, "highest": None, "newest": None}
    return {
        "lowest": min(point["min"] for point in points),
        "highest": max(point["max"] for point in points),
        "newest": points[-1]["last"],
    }
