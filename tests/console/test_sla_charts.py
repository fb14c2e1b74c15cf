"""The bars of the SLA report."""

from __future__ import annotations

from datetime import date

from console.presenters.sla_charts import by_cause, per_day, share
from console.selectors.sla_report import ReportLine
from state.selectors.lost_time import CAUSES

FIRST = date(2026, 9, 5)
NONE = dict.fromkeys(CAUSES, 0.0)


def test_a_bar_stands_on_its_day_and_the_scale_begins_below_the_worst() -> None:
    days = [
        (date(2026, 9, 5), 100_000.0, NONE),
        (date(2026, 9, 7), 100_000.0, NONE | {"site": 1_000.0, "device": 500.0}),
        (date(2026, 9, 8), 0.0, NONE),  # nothing was in service
    ]

    chart = per_day(days, first=FIRST, count=91)

    assert chart is not None
    assert (chart["base"], chart["worst"]) == ("98 %", "98.50 % on 7 Sep")
    bars = [(bar["x"], bar["y"], bar["height"], bar["lost"]) for bar in chart["bars"]]
    assert bars == [(0, "0.0", "100.0", "0.0"), (2, "75.0", "25.0", "25.0")]
    assert per_day([], first=FIRST, count=91) is None


def test_causes_have_bars_by_their_share_and_the_unknown_is_hatched() -> None:
    line = ReportLine("acme", "a", 100.0, NONE | {"job": 3.0, "unknown": 1.0})

    bars = by_cause([line])

    assert [(bar["cause"], bar["width"]) for bar in bars] == [
        ("our job", "75.00%"),
        ("unknown", "25.00%"),
    ]
    assert [bar["is_unknown"] for bar in bars] == [False, True]


def test_what_is_not_whole_is_not_100_percent() -> None:
    assert share(1.0) == "100.00 %"
    assert share(0.99999) == "99.99 %"
    assert share(0.5) == "50.00 %"
