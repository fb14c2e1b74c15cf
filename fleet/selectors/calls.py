"""Reads of the calls of cohorts: the work queue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, F, Max, Min, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from fleet.choices import OF_DEVICES, OF_SIZE, CallKind
from fleet.exceptions import NoSuchCall
from fleet.models import Cohort, CohortCall
from iotplatform.common.ids import parse_uuid
from registry.models import Tenant, User
from registry.selectors.access import attach_caller_tenant, within

VIEWS = ("all", "mine", "unassigned", "snoozed")
NAMED = 5  # devices of a group that are shown by name


def list_calls(*, tenants: Sequence[Tenant]) -> QuerySet[CohortCall]:
    """Return calls, open and closed; a limited member sees those of their devices.

    The size counts every device of the tenant, so they see no call about it.
    """
    rows = CohortCall.objects.filter(within(tenants, device="device"))
    return rows.select_related("tenant", "cohort", "assignee", "closed_by")


def list_open_calls(
    *, tenants: Sequence[Tenant], view: str = "all", user: User | None = None
) -> QuerySet[CohortCall]:
    """Return what needs a person; ``view`` is one of VIEWS, ``user`` who looks."""
    rows = list_calls(tenants=tenants).filter(closed_at=None)
    if view == "mine":
        return rows.filter(assignee=user)
    if view == "unassigned":
        return rows.filter(assignee=None)
    return rows.none() if view == "snoozed" else rows  # nothing can be snoozed yet


def get_call(*, tenants: Sequence[Tenant], public_id: UUID | str) -> CohortCall:
    """Return one call; raises NoSuchCall."""
    wanted = parse_uuid(public_id)
    found = wanted and list_calls(tenants=tenants).filter(public_id=wanted).first()
    if not found:
        raise NoSuchCall("There is no such work item.")
    attach_caller_tenant(found, tenants)
    return found


@dataclass
class CallGroup:
    """The open calls of one cohort for devices, as one line."""

    cohort: Cohort
    entered: int
    left: int
    unassigned: int
    mine: int
    first_at: datetime
    last_at: datetime
    newest: list[CohortCall]


def group_device_calls(
    calls: QuerySet[CohortCall], *, user: User, most: int
) -> list[CallGroup]:
    """Return a line for each cohort with open calls for devices, the newest first."""
    rows = calls.filter(kind__in=OF_DEVICES)
    lines: QuerySet[Any, Any] = (
        rows.order_by()
        .values("cohort")
        .annotate(
            entered=Count("pk", filter=Q(kind=CallKind.ENTERED)),
            left=Count("pk", filter=Q(kind=CallKind.LEFT)),
            unassigned=Count("pk", filter=Q(assignee=None)),
            mine=Count("pk", filter=Q(assignee=user)),
            first_at=Min("opened_at"),
            last_at=Max("opened_at"),
        )
        .order_by("-last_at", "cohort")
    )
    found = list(lines[:most])
    ids = [row["cohort"] for row in found]
    cohorts = Cohort.objects.select_related("tenant").in_bulk(ids)
    place = Window(RowNumber(), partition_by=F("cohort"), order_by=F("pk").desc())
    named: dict[int, list[CohortCall]] = {pk: [] for pk in ids}
    newest = rows.filter(cohort__in=ids).annotate(place=place)
    for call in newest.filter(place__lte=NAMED).order_by("-pk"):
        named[call.cohort_id].append(call)
    return [
        CallGroup(cohort=cohorts[pk], newest=named[pk], **row)
        for row in found
        if (pk := row.pop("cohort")) in cohorts
    ]


def calls_of_size(calls: QuerySet[CohortCall]) -> QuerySet[CohortCall]:
    return calls.filter(kind__in=OF_SIZE).order_by("-pk")
