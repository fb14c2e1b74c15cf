"""The date filter of lists: from a day, to a day."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone

if TYPE_CHECKING:
    from django.db.models import QuerySet

LOOKUPS = {"from": "at__gte", "to": "at__lt"}


def filter_by_dates(
    rows: QuerySet[Any], asked: dict[str, str], errors: list[str]
) -> QuerySet[Any]:
    """Keep the rows of these days; an invalid date adds an error and is ignored."""
    for name, lookup in LOOKUPS.items():
        if not asked[name]:
            continue
        try:
            day = date.fromisoformat(asked[name])
            day += timedelta(days=name == "to")  # the last day is included
        except (ValueError, OverflowError):
            errors.append(f"“{name}” must be a date such as {timezone.localdate()}.")
            continue
        midnight = datetime.combine(day, time(), timezone.get_current_timezone())
        rows = rows.filter(**{lookup: midnight})
    return rows
