"""The chart of a cohort's size: time window, points, and where the line breaks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from fleet.selectors.cohort_sizes import list_sizes
from fleet.services.cohort_sizes import EACH_MINUTE

if TYPE_CHECKING:
    from fleet.models import Cohort

# Name → label, length, bucket: a chart has room for a few hundred points.
WINDOWS: dict[str, tuple[str, timedelta, timedelta]] = {
    "24h": ("24 hours", timedelta(hours=24), timedelta(minutes=5)),
    "7d": ("7 days", timedelta(days=7), timedelta(hours=1)),
    "90d": ("90 days", timedelta(days=90), timedelta(hours=12)),
}
DEFAULT_WINDOW = "7d"
HOUR = timedelta(hours=1)


def build_size_chart(cohort: Cohort, *, window: str, now: datetime) -> dict[str, Any]:
    """Return the chart; an unknown window becomes the default one."""
    window = window if window in WINDOWS else DEFAULT_WINDOW
    label, length, bucket = WINDOWS[window]
    sizes = list_sizes(cohort, since=now - length, step=bucket)
    points = [
        # Old sizes are an hour apart; a longer gap means that nobody could count.
        {"at": row.at, "size": row.size, "step": _step(now - row.at, bucket)}
        for row in sizes
    ]
    counts = [row.size for row in sizes]
    return {
        "points": points,
        "from": now - length,
        "to": now,
        "label": label,
        "lowest": min(counts, default=None),
        "highest": max(counts, default=None),
        "newest": counts[-1] if counts else None,
        "windows": [
            {
                "label": text,
                "is_here": name == window,
                "url": f"?{urlencode({'window': name})}#sizes",
            }
            for name, (text, _, _) in WINDOWS.items()
        ],
    }


def _step(age: timedelta, bucket: timedelta) -> int:
    apart = bucket if age < EACH_MINUTE else max(bucket, HOUR)
    return round(apart.total_seconds() * 2.5)
