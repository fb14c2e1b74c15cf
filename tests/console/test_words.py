"""Small parts without a page: tracks, query text, traits, durations."""

from __future__ import annotations

from datetime import timedelta

import pytest

from console.presenters.delivery_track import reached_by_times, track_of
from console.presenters.labels import duration
from console.presenters.shared_traits import traits_of
from fleet.query import clauses


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
def test_a_track_shows_how_far_and_where_it_broke(
    status: str, failure: str, segments: tuple[str, ...]
) -> None:
    assert track_of(status, failure).segments == segments


def test_a_cancelled_command_keeps_what_it_reached() -> None:
    reached = reached_by_times(sent=1, received=None, succeeded=None, verified=None)

    assert track_of("cancelled", reached=reached).segments == ("d1", "", "", "")


@pytest.mark.parametrize(
    ("query", "parts"),
    [
        ("*", ["*"]),
        ('region:"East AND West" AND a:1', ['region:"East AND West"', "a:1"]),
        ("(a:1 AND b:2) AND NOT c:3", ["(a:1 AND b:2)", "NOT c:3"]),
        ("a:1 OR b:2", ["a:1 OR b:2"]),
        ("a:[1 TO 2] and b:2", ["a:[1 TO 2]", "b:2"]),
    ],
)
def test_a_query_falls_into_its_conditions(query: str, parts: list[str]) -> None:
    assert clauses.parts(query) == parts


def test_a_condition_is_added_to_the_whole_query() -> None:
    assert clauses.both("*", "a:1") == "a:1"
    assert clauses.both("a:1", "b:2") == "a:1 AND b:2"
    assert clauses.both("a:1 OR b:2", "c:3") == "(a:1 OR b:2) AND c:3"


def test_a_value_is_quoted_where_it_needs_it() -> None:
    assert clauses.clause("region", "East China") == 'region:"East China"'
    assert clauses.clause("site", "shanghai-01") == "site:shanghai-01"
    assert clauses.clause("name", 'say "OR"') == 'name:"say \\"OR\\""'
    assert clauses.clause("tags", "OR") == 'tags:"OR"'


def test_traits_are_what_is_more_frequent_here_than_in_the_fleet() -> None:
    here = {"firmware": [{"value": "1.4.2", "count": 9}, {"value": "1.3", "count": 1}]}
    fleet = {
        "firmware": [{"value": "1.4.2", "count": 30}, {"value": "1.3", "count": 70}]
    }

    [trait] = traits_of(here, total=10, fleet=fleet, fleet_total=100)

    assert (trait.value, trait.share, round(trait.lift, 1)) == ("1.4.2", 0.9, 3.0)
    assert traits_of(fleet, total=100, fleet=fleet, fleet_total=100) == []


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
def test_a_duration_is_said_in_the_unit_that_matters(
    span: timedelta | float | None, words: str
) -> None:
    assert duration(span) == words
