"""Lists that may hold a million rows, and the related rows of one row."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.core.paginator import Paginator
from django.db.models import Index, Model, QuerySet, UniqueConstraint
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest
from django.utils.functional import cached_property

# Nobody pages through a hundred pages; counting on costs more than showing a page.
COUNTED = 10_000
INLINE_ROWS = 50  # rows of one inline; the rest is in a list of its own


class BoundedPaginator(Paginator[Any]):
    """Counts up to a bound; search and filters find the rows beyond it."""

    @cached_property
    def count(self) -> int:
        """The number of rows, up to the bound."""
        rows: Any = self.object_list
        return int(rows.order_by()[:COUNTED].count())

    @property
    def is_bounded(self) -> bool:
        """Whether there may be more rows than counted."""
        return self.count == COUNTED


class Bounded:
    """An admin mixin: a page costs the same for many rows as for few."""

    # Counting a million rows is slower than the page.
    show_full_result_count = False
    paginator: type = BoundedPaginator

    def get_sortable_by(self, request: HttpRequest) -> Any:
        """Offer the columns with an index: a million rows are too many to sort."""
        model: type[Model] = self.model  # type: ignore[attr-defined]
        columns = self.get_list_display(request)  # type: ignore[attr-defined]
        return [column for column in columns if has_order(model, column)]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Fill a form from the query string; leave out keys that are no valid ids."""
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
        """Name the rows to delete without reading their related rows.

        Those may be a million; the deletion itself refuses if one of them must stay.
        """
        names = [str(row) for row in objs]
        kind = self.opts.verbose_name_plural  # type: ignore[attr-defined]
        return names, {str(kind): len(names)}, set(), []


def has_order(model: type[Model], column: str) -> bool:
    """Whether an index of this table begins with this column, for every row.

    A relation is sorted by the names of its rows, which no index has.
    """
    try:
        field: Any = model._meta.get_field(column)
    except FieldDoesNotExist:
        return False
    if field.is_relation:
        return False
    if field.primary_key or field.unique or field.db_index:
        return True
    # An index for prefixes sorts by bytes, not by the collation.
    trees: list[Any] = [
        i for i in model._meta.indexes if type(i) is Index and not i.opclasses
    ]
    unique = [c for c in model._meta.constraints if isinstance(c, UniqueConstraint)]
    return any(
        index.fields and index.fields[0].lstrip("-") == column
        for index in (*trees, *unique)
        if index.condition is None
    )


class BoundedFormSet(BaseInlineFormSet[Any, Any, Any]):
    """The first related rows, in the inline's order."""

    def get_queryset(self) -> QuerySet[Any]:
        """Return the rows, read once."""
        if not hasattr(self, "_shown"):
            self._shown = super().get_queryset()[:INLINE_ROWS]
        return self._shown
