"""Lists by the key, the newest first: no page number that shifts under the reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import UUID

from django.http import HttpRequest

if TYPE_CHECKING:
    from django.db.models import QuerySet

PAGE_SIZE = 50


@dataclass(frozen=True)
class Page:
    """Rows, and the ways to the next and the first page."""

    rows: list[Any]
    next_url: str | None
    first_url: str | None


def page_of(
    request: HttpRequest, rows: QuerySet[Any], *, size: int = PAGE_SIZE
) -> Page:
    """Return the page after the row that ``before`` names, by its public id."""
    before = _uuid(request.GET.get("before", ""))
    if before is not None:
        last = rows.filter(public_id=before).values_list("pk", flat=True).first()
        rows = rows.filter(pk__lt=last) if last is not None else rows.none()
    found = list(rows.order_by("-pk")[: size + 1])
    state = {
        name: value
        for name, value in request.GET.items()
        if name not in ("before", "tenant") and value
    }
    next_url = None
    if len(found) > size:
        cursor = {"before": str(found[size - 1].public_id)}
        next_url = f"?{urlencode(state | cursor)}"
    return Page(
        rows=found[:size],
        next_url=next_url,
        first_url=f"?{urlencode(state)}" if before else None,
    )


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
