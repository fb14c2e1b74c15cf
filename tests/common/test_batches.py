"""Steps are repeated until a batch is not full, up to a bound."""

from __future__ import annotations

from iotplatform.common.batches import until_drained


def test_a_step_is_repeated_until_its_batch_is_not_full() -> None:
    handled = iter([3, 3, 1, 3])

    assert until_drained(lambda: next(handled), batch=3) == 7
    assert list(handled) == [3]


def test_the_rest_is_left_to_the_next_run_after_the_bound() -> None:
    assert until_drained(lambda: 3, batch=3, most=4) == 12
