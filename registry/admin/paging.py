"""Pages of lists that may hold a million rows."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.utils.functional import cached_property

# Nobody turns a hundred pages; counting further costs more than showing one.
COUNTED = 10_000


class BoundedPaginator(Paginator[Any]):
    """Counts up to a bound: what is beyond it is found by search or filter."""

    @cached_property
    def count(self) -> int:
        """How many rows there are, as far as they are counted."""
        rows: Any = self.object_list
        return int(rows.order_by()[:COUNTED].count())

    @property
    def is_bounded(self) -> bool:
        """Whether there may be more than are counted."""
        return self.count == COUNTED
