"""The work queue as one list: attention items and the calls of cohorts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import QuerySet

from console.selectors.attention import list_attention, list_open_attention
from fleet.choices import CallKind
from fleet.exceptions import NoSuchCall
from fleet.selectors.calls import get_call, list_open_calls
from iotplatform.common.ids import parse_uuid
from registry.selectors.access import attach_caller_tenant
from state.choices import AttentionKind

if TYPE_CHECKING:
    from console.models import AttentionItem
    from fleet.models import CohortCall
    from registry.models import Tenant, User

COHORT = "cohort"
KINDS = (*AttentionKind.values, COHORT)
# One call about the size stands for many devices.
SCORE_OF_SIZE, SCORE_OF_DEVICE = 50, 20


@dataclass(frozen=True)
class WorkItem:
    """Something that needs a person."""

    public_id: UUID
    tenant: Tenant
    kind: str
    object: dict[str, str]
    title: str
    score: int
    score_reasons: list[str]
    reason: str
    device: str | None
    assignee: User | None
    opened_at: datetime
    due_at: datetime | None
    closed_at: datetime | None
    call: CohortCall | None = None  # a cohort's; else it came through the inbox


def from_attention(row: AttentionItem) -> WorkItem:
    named = {"id": str(row.object_id), "name": row.object_name}
    return WorkItem(
        public_id=row.public_id,
        tenant=row.tenant,
        kind=row.kind,
        object={"kind": row.object_kind, **named},
        title=row.title,
        score=row.score,
        score_reasons=row.score_reasons,
        reason=row.reason,
        device=row.uid or None,
        assignee=row.assignee,
        opened_at=row.opened_at,
        due_at=row.due_at,
        closed_at=row.closed_at,
    )


def from_call(row: CohortCall) -> WorkItem:
    named = {"id": str(row.cohort.public_id), "name": row.cohort.name}
    return WorkItem(
        public_id=row.public_id,
        tenant=row.tenant,
        kind=COHORT,
        object={"kind": COHORT, **named},
        title=row.title,
        score=SCORE_OF_SIZE if row.is_of_size else SCORE_OF_DEVICE,
        score_reasons=[CallKind(row.kind).label],
        reason=row.kind,
        device=row.uid or None,
        assignee=row.assignee,
        opened_at=row.opened_at,
        due_at=None,
        closed_at=row.closed_at,
        call=row,
    )


class MergedRows:
    """Rows of several tables as one list in the order of their public ids.

    It has those methods of a queryset that paging needs.
    """

    def __init__(
        self,
        parts: Sequence[tuple[QuerySet[Any], Callable[[Any], WorkItem]]],
        *,
        falls: bool = False,
    ) -> None:
        self._parts, self._falls = parts, falls

    def order_by(self, field: str) -> MergedRows:
        ordered = [(rows.order_by(field), made) for rows, made in self._parts]
        return MergedRows(ordered, falls=field.startswith("-"))

    def filter(self, *conditions: Any, **values: Any) -> MergedRows:
        found = [
            (rows.filter(*conditions, **values), made) for rows, made in self._parts
        ]
        return MergedRows(found, falls=self._falls)

    def __getitem__(self, wanted: slice) -> list[WorkItem]:
        """Return a slice; of each table no more rows are read than it needs."""
        found = [map(made, rows[: wanted.stop]) for rows, made in self._parts]
        merged = merge(*found, key=lambda i: i.public_id, reverse=self._falls)
        return list(islice(merged, wanted.start or 0, wanted.stop))


def list_work_items(
    *,
    tenants: Sequence[Tenant],
    view: str,
    user: User,
    kind: str | None = None,
    cohort: UUID | None = None,
) -> MergedRows:
    """Return the open items; ``cohort`` narrows them to the calls of one."""
    parts: list[tuple[QuerySet[Any], Callable[[Any], WorkItem]]] = []
    given: dict[str, Any] = {"tenants": tenants, "view": view, "user": user}
    if kind in (None, COHORT):
        calls = list_open_calls(**given)
        calls = calls.filter(cohort__public_id=cohort) if cohort else calls
        parts.append((calls, from_call))
    if kind != COHORT and cohort is None:
        rows = list_open_attention(**given)
        rows = rows.filter(kind=kind) if kind else rows
        parts.append((rows, from_attention))
    return MergedRows(parts)


def get_work_item(*, tenants: Sequence[Tenant], public_id: UUID | str) -> WorkItem:
    """Return one item, open or closed; raises NoSuchCall."""
    wanted = parse_uuid(public_id)
    if wanted is None:
        raise NoSuchCall("There is no such work item.")
    row = list_attention(tenants=tenants).filter(public_id=wanted).first()
    if row is None:
        return from_call(get_call(tenants=tenants, public_id=wanted))
    attach_caller_tenant(row, tenants)
    return from_attention(row)
