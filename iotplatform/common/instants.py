"""Instants in requests: RFC 3339 with an offset, read as UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import django_filters
from django.core.exceptions import ValidationError
from django.utils.dateparse import parse_datetime
from rest_framework import serializers

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


def instant_text(at: datetime) -> str:
    """Return the instant as devices get it, in UTC: 2026-01-31T08:00:00.000Z."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class _InstantFormField(django_filters.fields.IsoDateTimeField):  # type: ignore[misc]
    """Reads the instant of a query parameter."""

    def to_python(self, value: Any) -> datetime | None:
        if value in self.empty_values:
            return None
        found = read_instant(str(value).strip())
        if found is None:
            raise ValidationError(NOT_AN_INSTANT, code="invalid")
        return found


class InstantFilter(django_filters.IsoDateTimeFilter):  # type: ignore[misc]
    """Narrows a list by an instant; another text is refused."""

    field_class = _InstantFormField


class InstantField(serializers.DateTimeField):
    """An instant in a request; a time without offset is refused."""

    default_error_messages = {"invalid": NOT_AN_INSTANT}

    def to_internal_value(self, value: Any) -> datetime:
        found = read_instant(value) if isinstance(value, str) else None
        if found is None:
            self.fail("invalid")
        return found


class FromToFilterSet(django_filters.FilterSet):  # type: ignore[misc]
    """Offers the filter ``from_`` as ``from``, which is a keyword of Python."""

    @classmethod
    def get_filters(cls) -> Any:
        filters = super().get_filters()
        if "from_" in filters:
            filters["from"] = filters.pop("from_")
        return filters
