"""Repeating a transaction that PostgreSQL ended because of a deadlock."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from django.db import OperationalError
from psycopg.errors import DeadlockDetected

logger = logging.getLogger(__name__)

Result = TypeVar("Result")
TRIES = 5


def repeat_on_deadlock(transaction: Callable[[], Result]) -> Result:
    """Run a whole transaction, and run it again after a deadlock.

    Raises OperationalError when the last try meets a deadlock too, and every other
    error at once.
    """
    for attempt in range(1, TRIES):
        try:
            return transaction()
        except OperationalError as error:
            if not isinstance(error.__cause__, DeadlockDetected):
                raise
            logger.info("deadlock in try %d; repeating the transaction", attempt)
    return transaction()
