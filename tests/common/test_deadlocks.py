"""A transaction is repeated after a deadlock, and after no other error."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.db import OperationalError
from psycopg.errors import DeadlockDetected, LockNotAvailable

from iotplatform.common.deadlocks import TRIES, repeat_on_deadlock


def failing(times: int, cause: Exception) -> tuple[list[int], Callable[[], str]]:
    tries: list[int] = []

    def transaction() -> str:
        tries.append(1)
        if len(tries) <= times:
            raise OperationalError("failed") from cause
        return "committed"

    return tries, transaction


def test_a_transaction_is_repeated_after_deadlocks() -> None:
    tries, transaction = failing(TRIES - 1, DeadlockDetected())

    assert repeat_on_deadlock(transaction) == "committed"
    assert len(tries) == TRIES


@pytest.mark.parametrize(
    ("cause", "expected"), [(DeadlockDetected(), TRIES), (LockNotAvailable(), 1)]
)
def test_the_last_deadlock_and_any_other_error_are_raised(
    cause: Exception, expected: int
) -> None:
    tries, transaction = failing(TRIES, cause)

    with pytest.raises(OperationalError):
        repeat_on_deadlock(transaction)

    assert len(tries) == expected
