"""Small parts without a page: tracks, traits, durations."""

from __future__ import annotations

from datetime import timedelta

import pytest

from console.presenters.delivery_track import steps_done, track_of
from console.presenters.labels import duration
from console.presenters.shared_traits import find_shared_traits


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


def test_a_shared_trait_is_more_frequent_among_the_matches_than_in_the_fleet() -> None:
    here = {"firmware": [{"value": "1.4.2", "count": 9}, {"value": "1.3", "count": 1}]}
    fleet = {
        "firmware": [{"value": "1.4.2", "count": 30}, {"value": "1.3", "count": 70}]
    }

    [trait] = find_shared_traits(here, total=10, fleet=fleet, fleet_total=100)

    assert (trait.value, trait.share, round(trait.lift, 1)) == ("1.4.2", 0.9, 3.0)
    assert find_shared_traits(fleet, total=100, fleet=fleet, fleet_total=100) == []


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
