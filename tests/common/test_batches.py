"""Steps are repeated until a batch is not full; items are made ahead of their use."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from iotplatform.common.batches import read_ahead, until_drained


def test_a_step_is_repeated_until_its_batch_is_not_full() -> None:
    handled = iter([3, 3, 1, 3])

    assert until_drained(lambda: next(handled), batch=3) == 7
    assert list(handled) == [3]


def test_the_rest_is_left_to_the_next_run_after_the_bound() -> None:
    assert until_drained(lambda: 3, batch=3, most=4) == 12


def test_items_that_are_made_ahead_come_in_order_and_then_their_error() -> None:
    def items() -> Iterator[int]:
        yield from range(3)
        raise ValueError("no more")

    ahead = read_ahead(items())

    assert [next(ahead) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="no more"):
        next(ahead)
    assert list(read_ahead(iter(range(3)))) == [0, 1, 2]
