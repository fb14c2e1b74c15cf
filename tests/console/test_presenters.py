"""Small parts without a page: tracks, traits, durations."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from console.presenters.delivery_track import steps_done, track_of
from console.presenters.labels import duration, one_line
from console.presenters.shared_traits import field_label


@pytest.mark.parametrize(
    ("status", "failure", "segments"),
    [
        ("queued", "", ("", "", "", "")),
        ("sent", "", ("d1", "", "", "")),
        ("running", "", ("d1", "d2", "", "")),
        ("succeeded", "", ("d1", "d2", "d3", "")),
        ("verified", "", ("d4", "d4", "d4", "d4")),
        ("failed", "rejected", ("d1", "fail", "", "")),
        ("failed", "unverified", ("d1", "d2", "d3", "fail")),
        ("timed_out", "no_ack", ("d1", "fail", "", "")),
        ("unknown", "unknown_outcome", ("d1", "d2", "unknown", "")),
    ],
)
def test_a_track_shows_the_progress_and_the_failed_step(
    status: str, failure: str, segments: tuple[str, ...]
) -> None:
    assert track_of(status, failure).segments == segments


def test_a_cancelled_command_keeps_its_progress() -> None:
    reached = steps_done(sent=1, received=None, succeeded=None, verified=None)

    assert track_of("cancelled", reached=reached).segments == ("d1", "", "", "")


@pytest.mark.parametrize(
    ("field", "label"),
    [
        ("hardware_revision", "Hardware revision"),
        ("attr.battery_rev", "Battery rev"),
        ("reported.mode", "Reported mode"),
        ("metric.door_open", "Metric door open"),
    ],
)
def test_a_trait_is_called_as_a_person_would_write_it(field: str, label: str) -> None:
    assert field_label(field) == label


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (0.31, "0.3 s"),
        (40, "40 s"),
        (timedelta(minutes=4), "4 min"),
        (timedelta(hours=3), "3 h"),
        (timedelta(days=2), "2 d"),
        (None, "\N{EN DASH}"),
    ],
)
def test_a_duration_has_its_largest_useful_unit(
    span: timedelta | float | None, words: str
) -> None:
    assert duration(span) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("north pump", "north pump"),
        ("", "(empty)"),
        (None, "(none)"),
        (30, "30"),
        ("30", '"30"'),
        (" x", '" x"'),
        (["winter", "cold"], "winter, cold"),
        ({"a": ["b"]}, '{"a": ["b"]}'),
    ],
)
def test_text_has_quotes_only_where_it_looks_like_another_value(
    value: Any, words: str
) -> None:
    assert one_line(value) == words
