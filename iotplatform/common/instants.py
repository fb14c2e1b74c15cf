"""Instants in requests: RFC 3339 with an offset, read as UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import django_filters
from django.db.models import QuerySet
from django.utils.dateparse import parse_datetime

from iotplatform.common.problems import BadInput

NOT_AN_INSTANT = "Must be an RFC 3339 time with offset, like 2026-01-31T08:00:00Z."


def read_instant(text: str) -> datetime | None:
    """Return the instant in UTC; None if the text is not one.

    In UTC, because PostgreSQL refuses offsets that Python accepts, such as +16:30.
    """
    try:
        found = parse_datetime(text)
        return None if found is None or found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


class InstantFilter(django_filters.IsoDateTimeFilter):  # type: ignore[misc]
    """Narrows a list by an instant."""

    def filter(self, qs: QuerySet[Any], value: datetime | None) -> QuerySet[Any]:
        """Compare in UTC. Raises BadInput for an instant that UTC cannot express."""
        if value is None:
            return qs
        try:
            return super().filter(qs, value.astimezone(UTC))  # type: ignore[no-any-return]
        except OverflowError:
            names = [n for n, f in self.parent.filters.items() if f is self]
            rows = [{"field": name, "message": NOT_AN_INSTANT} for name in names]
            raise BadInput(errors=rows) from None


class FromToFilterSet(django_filters.FilterSet):  # type: ignore[misc]
    """Offers the filter ``from_`` as ``from``, which is a keyword of Python."""

    @classmethod
    def get_filters(cls) -> Any:
        filters = super().get_filters()
        if "from_" in filters:
            filters["from"] = filters.pop("from_")
        return filters
