"""Paging by key, the newest first: new rows do not shift the later pages.

With a ``rank``, a number of each row, the lowest comes first, then the newest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.db.models import Q
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
    request: HttpRequest,
    rows: QuerySet[Any],
    *,
    size: int = PAGE_SIZE,
    rank: str | None = None,
) -> Page:
    """Return the page after the row whose public id is in ``?before=``."""
    before = parse_uuid(request.GET.get("before", ""))
    if before is not None:
        last = rows.filter(public_id=before).values("pk", *([rank] if rank else []))
        rows = rows.filter(_after(last[0], rank)) if last else rows.none()
    order = [rank, "-pk"] if rank else ["-pk"]
    found = first_of(rows, order, size + 1)
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


def first_of(rows: QuerySet[Any], order: list[str], size: int) -> list[Any]:
    """Return the first rows; what they refer to is joined to these alone."""
    keys = rows.order_by(*order).values("pk")[:size]
    return list(rows.filter(pk__in=keys).order_by(*order))


def _after(last: dict[str, Any], rank: str | None) -> Q:
    """Return the condition for the rows after the last one of a page."""
    older = Q(pk__lt=last["pk"])
    if rank is None:
        return older
    return Q(**{f"{rank}__gt": last[rank]}) | (Q(**{rank: last[rank]}) & older)
