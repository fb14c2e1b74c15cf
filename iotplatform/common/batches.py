"""Repeating a step that works through a table in batches."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count


def until_drained(
    step: Callable[[], int], *, batch: int, most: int | None = None
) -> int:
    """Repeat ``step`` until it handles less than a full batch; return the total.

    ``step`` returns how many rows it handled. After ``most`` repetitions the rest is
    left to the next run.
    """
    total = 0
    for _ in count() if most is None else range(most):
        handled = step()
        total += handled
        if handled < batch:
            break
    return total
