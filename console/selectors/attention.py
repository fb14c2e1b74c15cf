"""Reads of the work items that came through the attention inbox."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.db.models import F, Q, QuerySet

from commands.selectors.jobs import list_jobs
from console.models import AttentionItem
from console.selectors.playbooks import list_runs
from registry.selectors.access import within
from state.choices import AttentionObject

if TYPE_CHECKING:
    from registry.models import Tenant, User


def list_attention(*, tenants: Sequence[Tenant]) -> QuerySet[AttentionItem]:
    """Return the items, open and closed; a limited member sees those of their devices.

    Of jobs and runs of playbooks they see those without a device outside their limit.
    """
    found = within(tenants, device="device")
    if limited := [tenant for tenant in tenants if tenant.limit is not None]:
        jobs = list_jobs(tenants=limited).order_by().values("public_id")
        found |= Q(object_kind=AttentionObject.JOB, object_id__in=jobs)
        runs = list_runs(tenants=limited).order_by().values("public_id")
        found |= Q(object_kind=AttentionObject.PLAYBOOK_RUN, object_id__in=runs)
    rows = AttentionItem.objects.filter(found)
    return rows.select_related("tenant", "assignee", "closed_by")


def list_open_attention(
    *, tenants: Sequence[Tenant], view: str = "all", user: User | None = None
) -> QuerySet[AttentionItem]:
    """Return what needs a person; ``view`` is one of VIEWS, ``user`` who looks.

    Without what is part of an incident: that is work once, as the incident.
    """
    rows = list_attention(tenants=tenants).filter(closed_at=None, incident=None)
    if view == "mine":
        return rows.filter(assignee=user)
    if view == "unassigned":
        return rows.filter(assignee=None)
    return rows.none() if view == "snoozed" else rows  # only incidents are snoozed


def rank_by_urgency(rows: QuerySet[AttentionItem]) -> QuerySet[Any]:
    """Give each item its ``rank``: the lowest is the most urgent."""
    return rows.annotate(rank=-F("score"))
