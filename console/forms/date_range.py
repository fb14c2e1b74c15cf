"""From a day to a day: what lists may be narrowed to by when it happened."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from django.utils import timezone

if TYPE_CHECKING:
    from django.db.models import QuerySet

DAYS = {"from": "at__gte", "to": "at__lt"}


def within_days(
    rows: QuerySet[Any], asked: dict[str, str], errors: list[str]
) -> QuerySet[Any]:
    """Keep what happened on these days; what is none is said, and narrows nothing."""
    for name, lookup in DAYS.items():
        if not asked[name]:
            continue
        try:
            day = date.fromisoformat(asked[name])
            day += timedelta(days=name == "to")  # the whole day, its evening too
        except (ValueError, OverflowError):
            errors.append(f"“{name}” is a day, as in {timezone.localdate()}.")
            continue
        midnight = datetime.combine(day, time(), timezone.get_current_timezone())
        rows = rows.filter(**{lookup: midnight})
    return rows
