"""How much work is open, for the navigation of every page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import Count, QuerySet, Value

from console.selectors.attention import list_open_attention
from console.selectors.incidents import list_open_incidents
from fleet.choices import OF_DEVICES, OF_SIZE
from fleet.selectors.calls import list_open_calls

if TYPE_CHECKING:
    from registry.models import Tenant


@dataclass(frozen=True)
class OpenCounts:
    """The lines of the queue, and how many of them are incidents; no snoozed ones."""

    queue: int
    incidents: int


def count_open(*, tenants: Sequence[Tenant]) -> OpenCounts:
    """Count what is open for somebody with these tenants, in one query.

    The calls of a cohort for devices are one line, as in the queue.
    """
    calls = list_open_calls(tenants=tenants)
    parts = [
        _counted("incidents", list_open_incidents(tenants=tenants)),
        _counted("attention", list_open_attention(tenants=tenants)),
        _counted("sizes", calls.filter(kind__in=OF_SIZE)),
        _counted("groups", calls.filter(kind__in=OF_DEVICES), of="cohort"),
    ]
    found = dict(parts[0].union(*parts[1:], all=True))
    return OpenCounts(queue=sum(found.values()), incidents=found.get("incidents", 0))


def _counted(part: str, rows: QuerySet[Any], *, of: str = "pk") -> QuerySet[Any, Any]:
    grouped = rows.select_related(None).order_by().annotate(part=Value(part))
    counted = grouped.values("part").annotate(total=Count(of, distinct=of != "pk"))
    totals: QuerySet[Any, Any] = counted.values_list("part", "total")
    return totals
