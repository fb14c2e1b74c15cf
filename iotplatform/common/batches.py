"""Working in batches: repeating a step, and preparing the next one meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import TypeVar

T = TypeVar("T")


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


def read_ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the items; a thread makes the next one while the caller uses the last.

    They must not use the database: its connection belongs to the caller's thread.
    Raises what making an item raises.
    """
    end = object()
    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as reader:
        coming = reader.submit(next, items, end)
        while (item := coming.result()) is not end:
            coming = reader.submit(next, items, end)
            yield item  # type: ignore[misc]
