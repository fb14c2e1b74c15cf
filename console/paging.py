"""Paging by key, the newest first: new rows do not shift the later pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.http import HttpRequest

from iotplatform.common.ids import parse_uuid

if TYPE_CHECKING:
    from django.db.models import QuerySet

PAGE_SIZE = 50


@dataclass(frozen=True)
class Page:
    """Rows of one page, with the addresses of the next and the first page."""

    rows: list[Any]
    next_url: str | None
    first_url: str | None


def page_of(
    request: HttpRequest, rows: QuerySet[Any], *, size: int = PAGE_SIZE
) -> Page:
    """Return the page after the row whose public id is in ``?before=``."""
    before = parse_uuid(request.GET.get("before", ""))
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
