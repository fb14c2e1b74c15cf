"""Processes that share the tests: what goes together, and that it is still there."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

from tests.conftest import EARLY, TOGETHER, Sharing

BASE = Path(__file__).resolve().parents[2]


def test_each_place_that_is_named_is_there() -> None:
    assert [place for place in EARLY if not (BASE / place).exists()] == []
    assert set(EARLY) >= TOGETHER


def test_tests_of_one_platform_go_to_one_process_and_others_by_themselves() -> None:
    shared = "tests/stack/test_kills.py::test_one", "tests/stack/test_http.py::test_two"
    apart = "tests/stack/test_loop_on_amqtt.py::test_one"
    others = "tests/fleet/test_search.py::test_a", "tests/fleet/test_search.py::test_b"

    scopes = [Sharing._split_scope(Mock(), test) for test in (*shared, apart, *others)]

    assert scopes == ["tests/stack/"] * 2 + [
        "tests/stack/test_loop_on_amqtt.py",
        *others,
    ]
