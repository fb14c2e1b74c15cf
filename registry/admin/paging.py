"""Lists that may hold a million rows, and what hangs on one row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest
from django.utils.functional import cached_property

# Nobody turns a hundred pages; counting further costs more than showing one.
COUNTED = 10_000
HUNG = 50  # rows of one inline: the rest has a list of its own


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


class Bounded:
    """Mixed into an admin: no page of it costs more for more rows."""

    # Counting a million rows is slower than the page.
    show_full_result_count = False
    paginator: type = BoundedPaginator

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Fill a form in from its address; leave out a key that can be of no row."""
        given: dict[str, Any] = super().get_changeform_initial_data(request)  # type: ignore[misc]
        keys = {
            field.name
            for field in self.opts.fields  # type: ignore[attr-defined]
            if field.is_relation
        }
        return {
            name: value
            for name, value in given.items()
            if name not in keys or (value.isascii() and value.isdigit())
        }

    def get_deleted_objects(
        self, objs: Iterable[Model], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        """Name what is to be deleted, and do not read what hangs on it.

        That may be a million rows; whatever must stay is refused when it comes to it.
        """
        names = [str(row) for row in objs]
        kind = self.opts.verbose_name_plural  # type: ignore[attr-defined]
        return names, {str(kind): len(names)}, set(), []


class BoundedFormSet(BaseInlineFormSet[Any, Any, Any]):
    """The first rows, in the inline's order, of those that hang on a row."""

    def get_queryset(self) -> QuerySet[Any]:
        """Return them, read once."""
        if not hasattr(self, "_shown"):
            self._shown = super().get_queryset()[:HUNG]
        return self._shown
