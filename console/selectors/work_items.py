"""The work queue as one list: incidents, attention items, the calls of cohorts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from django.utils import timezone

from console.choices import IncidentCause, IncidentObject
from console.selectors.attention import (
    list_attention,
    list_open_attention,
    rank_by_urgency,
)
from console.selectors.incidents import (
    due_at,
    list_incidents,
    list_open_incidents,
    rank_incidents,
    urgency_of,
)
from fleet.choices import OF_SIZE, CallKind
from fleet.exceptions import NoSuchCall
from fleet.selectors.calls import get_call, list_open_calls
from iotplatform.common.ids import parse_uuid
from registry.selectors.access import attach_caller_tenant
from state.choices import AttentionKind

if TYPE_CHECKING:
    from console.models import AttentionItem, Incident
    from fleet.models import CohortCall
    from registry.models import Tenant, User

INCIDENT, COHORT = "incident", "cohort"
KINDS = (INCIDENT, *AttentionKind.values, COHORT)
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
    # What it is made of; neither: it came through the inbox.
    call: CohortCall | None = None
    incident: Incident | None = None

    @property
    def rank(self) -> int:
        """The lowest is the most urgent."""
        return -self.score

    @property
    def place(self) -> str:
        """Where it stands in the queue: no two items have the same place."""
        return f"{self.rank}:{self.public_id}"


def from_incident(row: Incident) -> WorkItem:
    score, reasons = urgency_of(row, now=timezone.now())
    return WorkItem(
        public_id=row.public_id,
        tenant=row.tenant,
        kind=INCIDENT,
        object={
            "kind": row.object_kind,
            "id": row.object_id,
            "name": row.object_name,
        },
        title=row.title,
        score=score,
        score_reasons=reasons,
        reason=IncidentCause(row.cause).label,
        device=row.object_id if row.object_kind == IncidentObject.DEVICE else None,
        assignee=row.assignee,
        opened_at=row.opened_at,
        due_at=due_at(row),
        closed_at=row.resolved_at,
        incident=row,
    )


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
    """Rows of several tables as one list, the most urgent first, then by age.

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
        """Order by the place: "place", or "-place" for the last ones first."""
        falls = field.startswith("-")
        sign = "-" if falls else ""
        ordered = [
            (rows.order_by(f"{sign}rank", f"{sign}public_id"), made)
            for rows, made in self._parts
        ]
        return MergedRows(ordered, falls=falls)

    def filter(self, **values: str) -> MergedRows:
        """Return what stands before or behind a place: ``place__lt``, ``place__gt``."""
        ((name, place),) = values.items()
        sign = name.removeprefix("place__")
        rank, _, last_id = place.partition(":")
        beyond = Q(**{f"rank__{sign}": int(rank)}) | Q(
            **{"rank": int(rank), f"public_id__{sign}": UUID(last_id)}
        )
        found = [(rows.filter(beyond), made) for rows, made in self._parts]
        return MergedRows(found, falls=self._falls)

    def __getitem__(self, wanted: slice) -> list[WorkItem]:
        """Return a slice; of each table no more rows are read than it needs."""
        found = [map(made, rows[: wanted.stop]) for rows, made in self._parts]
        merged = merge(*found, key=lambda i: (i.rank, i.public_id), reverse=self._falls)
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
    if kind in (None, INCIDENT) and cohort is None:
        incidents = list_open_incidents(**given)
        parts.append((rank_incidents(incidents, now=timezone.now()), from_incident))
    if kind in (None, COHORT):
        calls = list_open_calls(**given)
        calls = calls.filter(cohort__public_id=cohort) if cohort else calls
        parts.append((rank_calls(calls), from_call))
    if kind not in (COHORT, INCIDENT) and cohort is None:
        rows = list_open_attention(**given)
        rows = rows.filter(kind=kind) if kind else rows
        parts.append((rank_by_urgency(rows), from_attention))
    return MergedRows(parts)


def get_work_item(*, tenants: Sequence[Tenant], public_id: UUID | str) -> WorkItem:
    """Return one item, open or closed; raises NoSuchCall."""
    wanted = parse_uuid(public_id)
    if wanted is None:
        raise NoSuchCall("There is no such work item.")
    row = list_attention(tenants=tenants).filter(public_id=wanted).first()
    if row is not None:
        attach_caller_tenant(row, tenants)
        return from_attention(row)
    incident = list_incidents(tenants=tenants).filter(public_id=wanted).first()
    if incident is not None:
        attach_caller_tenant(incident, tenants)
        return from_incident(incident)
    return from_call(get_call(tenants=tenants, public_id=wanted))


def rank_calls(rows: QuerySet[CohortCall]) -> QuerySet[Any]:
    """Give each call of a cohort its ``rank``: the lowest is the most urgent."""
    of_size = When(kind__in=OF_SIZE, then=Value(-SCORE_OF_SIZE))
    return rows.annotate(
        rank=Case(of_size, default=Value(-SCORE_OF_DEVICE), output_field=IntegerField())
    )
