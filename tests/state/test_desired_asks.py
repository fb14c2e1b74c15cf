"""The later ask wins: the same document in whatever order two asks are merged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from state.judgment.desired_asks import (
    Ask,
    Asks,
    leave_out_later,
    named,
    with_asks,
)
from state.judgment.twin_documents import merge_patch

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
EARLY = Ask(NOON, "job", "Night job")
LATE = Ask(NOON + timedelta(minutes=1), "person", "ann")

values = st.one_of(st.integers(0, 3), st.none())
inner = st.dictionaries(st.sampled_from("xyz"), values, min_size=1)
patches = st.fixed_dictionaries({}, optional={"a": values, "b/c": values, "net": inner})


def merge(state: tuple[Any, Asks], patch: Any, ask: Ask) -> tuple[Any, Asks]:
    document, asks = state
    mine, _ = leave_out_later(patch, asks, at=ask.at)
    return merge_patch(document, mine), with_asks(asks, mine, ask.stored(None))


@given(patches, patches, patches)
def test_the_order_of_merging_does_not_matter(first: Any, one: Any, other: Any) -> None:
    start: tuple[Any, Asks] = (merge_patch({}, {"net": {}, **first}), {})

    in_order = merge(merge(start, one, EARLY), other, LATE)
    reversed_order = merge(merge(start, other, LATE), one, EARLY)

    assert in_order == reversed_order


@given(patches)
def test_nothing_is_left_out_of_a_later_ask(patch: Any) -> None:
    _, asks = merge(({}, {}), {"a": 1, "net": {"x": 1}}, EARLY)

    assert leave_out_later(patch, asks, at=LATE.at) == (patch, {})


@pytest.mark.parametrize(
    ("later", "patch", "kept"),
    [
        ({"net": {"x": 1}}, {"net": 5, "a": 1}, {"a": 1}),
        ({"net": 5}, {"net": {"x": 1}, "a": 1}, {"a": 1}),
        ({"net": {"x": 1}}, {"net": {"xy": 1}}, {"net": {"xy": 1}}),
        ({"a": None}, {"a": 1}, {}),
        ({"a/b": 1}, {"a": {"b": 1}}, {"a": {"b": 1}}),
    ],
)
def test_paths_overlap_above_and_below_but_not_beside(
    later: Any, patch: Any, kept: Any
) -> None:
    asks = with_asks({}, later, LATE.stored(None))

    found, lost = leave_out_later(patch, asks, at=EARLY.at)

    assert found == kept
    assert bool(lost) == (kept != patch)


def test_a_path_is_named_as_people_read_it() -> None:
    assert named("/net/a~1b") == "net.a/b"
