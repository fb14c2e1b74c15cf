"""What the SLA report page shows: lines in words, and bars."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from math import floor
from typing import Any

from commands.selectors.site_figures import SiteFigures
from console.selectors.sla_report import ReportLine
from state.selectors.lost_time import CAUSES

ORDER = ("device", "gateway", "site", "adapter", "platform", "job", "maintenance")
SHOWN = (*ORDER, *sorted(set(CAUSES) - set(ORDER)))
LABELS = {cause: "our job" if cause == "job" else cause for cause in SHOWN}
NONE = "\N{EN DASH}"
HEIGHT = 100.0
# A bar of a bad day is seen at this height at least, out of HEIGHT.
LOWEST = 2.0


def headline(lines: Sequence[ReportLine]) -> str:
    active = sum(line.active_minutes for line in lines)
    if not active:
        return "No device was in service"
    lost = sum(sum(line.lost_minutes.values()) for line in lines)
    return f"Availability {share(1 - lost / active)}"


def show_line(line: ReportLine) -> dict[str, Any]:
    """Return the cells of a site; figures are written here, not by filters: many."""
    incidents, commands = line.incidents, line.commands
    return {
        "site": line.site or NONE,
        "tenant": line.tenant,
        "availability": NONE if line.availability is None else share(line.availability),
        "lost": f"{sum(line.lost_minutes.values()):,.1f}",
        "by_cause": [
            (LABELS[cause], f"{line.lost_minutes[cause]:,.1f}") for cause in SHOWN
        ],
        "acknowledged": _of(incidents.acknowledged_in_time, incidents.count),
        "resolved": _of(incidents.resolved_in_time, incidents.count),
        "commands": f"{commands.count:,}",
        "succeeded": NONE
        if commands.succeeded_share is None
        else share(commands.succeeded_share),
        "latency": _latency(commands),
    }


def by_cause(lines: Sequence[ReportLine]) -> list[dict[str, Any]]:
    """Return a bar for each cause that took minutes, as wide as its share of them."""
    sums = {cause: sum(line.lost_minutes[cause] for line in lines) for cause in SHOWN}
    total = sum(sums.values())
    return [
        {
            "cause": LABELS[cause],
            "minutes": f"{lost:,.1f}",
            "share": share(lost / total),
            "width": f"{lost / total * 100:.2f}%",
            "is_unknown": cause == "unknown",
        }
        for cause, lost in sums.items()
        if lost
    ]


def per_day(
    days: Sequence[tuple[date, float, dict[str, float]]], *, first: date, count: int
) -> dict[str, Any] | None:
    """Return the bars of ``count`` days; a day that was not in service has none.

    The scale ends at 100 % and begins at the whole percent below the worst day: most
    days differ by less than a percent.
    """
    found = [
        (day, 1 - sum(lost.values()) / active, sum(lost.values()) / 60)
        for day, active, lost in days
        if active
    ]
    if not found:
        return None
    worst = min(found, key=lambda row: row[1])
    best = max(found, key=lambda row: row[1])
    base = min(floor(worst[1] * 100), 99) / 100
    return {
        "width": count,
        "base": f"{base * 100:.0f} %",
        "worst": f"{share(worst[1])} on {_day(worst[0])}",
        "best": f"{share(best[1])} on {_day(best[0])}",
        "from": _day(first),
        "to": _day(found[-1][0]),
        "bars": [_bar(row, base=base, first=first) for row in found],
    }


def _bar(row: tuple[date, float, float], *, base: float, first: date) -> dict[str, Any]:
    day, availability, lost = row
    height = max(LOWEST, (availability - base) / (1 - base) * HEIGHT)
    return {
        "day": _day(day),
        "availability": share(availability),
        "lost": f"{lost:,.1f}",
        "x": (day - first).days,
        "y": f"{HEIGHT - height:.1f}",
        "height": f"{height:.1f}",
    }


def share(value: float) -> str:
    """Write a share; what is not whole does not become 100 % by rounding."""
    return f"{floor(round(value * 1_000_000) / 100) / 100:.2f} %"


def _day(day: date) -> str:
    return f"{day.day} {day:%b}"


def _latency(figures: SiteFigures) -> str:
    p50, p95 = figures.latency_p50_ms, figures.latency_p95_ms
    return NONE if p50 is None or p95 is None else f"{p50:,.0f} / {p95:,.0f} ms"


def _of(number: int | None, count: int) -> str:
    """Return "3 of 4"; without a policy nothing is in time or late."""
    return NONE if number is None else f"{number} of {count}"
