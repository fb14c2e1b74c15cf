"""Answers that one state of the index gave, so that asking again costs nothing."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")

MOST_ANSWERS = 200  # a page of 100 documents takes some 100 kB


class KeptAnswers:
    """The latest answers of one state of the index, by what was asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, asked: Hashable, make: Callable[[], T]) -> T:
        """Return the answer to this question; ``make`` gives it the first time."""
        with self._lock:
            if asked in self._answers:
                self._answers.move_to_end(asked)
                found: T = self._answers[asked]
                return found
        found = make()  # two threads may both do this, and find the same
        with self._lock:
            self._answers[asked] = found
            if len(self._answers) > MOST_ANSWERS:
                self._answers.popitem(last=False)
        return found
