"""Whom a job is for, and what the dry run says about them, as the wizard shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fleet.selectors.cohorts import get_cohort
from fleet.selectors.search import count
from registry.permissions import Right
from registry.selectors.devices import list_devices

if TYPE_CHECKING:
    from django.http import QueryDict

    from console.scope import Scope
    from registry.models import Tenant

MOST_LISTED = 1_000  # devices ticked one by one; more are what "select all" is for
SITES_SHOWN = 12


class NoTarget(Exception):
    """Nothing that could be sent to; says what to do."""


@dataclass(frozen=True)
class Target:
    """One tenant's devices, by query, by cohort, or by name."""

    tenant: Tenant
    source: dict[str, Any]  # as fleet.services.jobs takes it
    query: str
    words: str
    size: int
    tenants: list[Tenant]  # those that it could be for

    @property
    def carried(self) -> list[tuple[str, str]]:
        """The hidden fields that say the same again."""
        if "devices" in self.source:
            pairs = [("device", uid) for uid in self.source["devices"]]
        elif "cohort" in self.source:
            pairs = [("cohort", str(self.source["cohort"]))]
        else:
            pairs = [("q", self.query), ("all", "1")]
        return [*pairs, ("tenant", self.tenant.slug)]


def read_target(data: QueryDict, scope: Scope) -> Target:
    """Read whom the form or the link means; raises NoTarget, QueryError, NotFound."""
    if cohort_id := data.get("cohort"):
        cohort = get_cohort(tenants=scope.all_tenants, public_id=cohort_id)
        scope.require(Right.OPERATE, cohort.tenant_id)
        size = count(tenants=[cohort.tenant], q=cohort.query)
        words = f"cohort “{cohort.name}”"
        source = {"cohort": str(cohort.public_id)}
        return Target(cohort.tenant, source, cohort.query, words, size, [])
    uids = sorted(set(data.getlist("device")))
    if uids and not data.get("all"):
        return _listed(uids, scope)
    query = str(data.get("q", "")).strip()
    if not query:
        raise NoTarget("Choose devices in the fleet first.")
    return _matching(query, str(data.get("tenant", "")), scope.writable())


def _listed(uids: list[str], scope: Scope) -> Target:
    if len(uids) > MOST_LISTED:
        raise NoTarget(f"At most {MOST_LISTED:,} devices one by one; use a query.")
    found = list(list_devices(tenants=scope.all_tenants).filter(uid__in=uids))
    if len(found) != len(uids):
        raise NoTarget("Some of these devices do not exist any more.")
    owners = {device.tenant_id: device.tenant for device in found}
    if len(owners) != 1:
        raise NoTarget("These devices belong to several tenants: a job is for one.")
    [tenant] = [row for row in scope.all_tenants if row.pk in owners]
    scope.require(Right.OPERATE, tenant.pk)
    return Target(tenant, {"devices": uids}, "", "chosen one by one", len(uids), [])


def _matching(query: str, slug: str, writable: list[Tenant]) -> Target:
    """The tenant that was named, else the one with the most matches."""
    sizes = {row.pk: count(tenants=[row], q=query) for row in writable}
    named = [row for row in writable if row.slug == slug]
    tenant = named[0] if named else max(writable, key=lambda row: sizes[row.pk])
    return Target(
        tenant, {"query": query}, query, "what matches", sizes[tenant.pk], writable
    )


def preview_view(said: dict[str, Any]) -> dict[str, Any]:
    """The dry run's answer as figures, reasons and shares."""
    scope, risk = said["scope"], said["risk"]
    left_out = sum(row["count"] for row in scope["left_out"])
    figures = [
        ("devices in the set", scope["matched"], ""),
        ("will get it", scope["targets"], ""),
        ("not online now", risk["not_online"], "warn" if risk["not_online"] else ""),
        ("left out", left_out, "warn" if left_out else ""),
        ("sites", len(scope["sites"]), ""),
        ("under another job", risk["in_other_jobs"], "warn"),
        ("with an open command", risk["with_open_commands"], "warn"),
    ]
    return {
        "figures": [
            {"label": label, "value": value, "kind": kind if value else ""}
            for label, value, kind in figures
        ],
        "left_out": scope["left_out"],
        "conflicts": risk["in_other_jobs"],
        "sites": [_site(row) for row in scope["sites"][:SITES_SHOWN]],
        "more_sites": max(0, len(scope["sites"]) - SITES_SHOWN),
        "targets": scope["targets"],
        "matched": scope["matched"],
        "offline": risk["not_online"],
        "waves": scope["waves"],
        "target_hash": said["target_hash"],
        "index_lag_seconds": said["index_lag_seconds"],
    }


def _site(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "site": row["site"],
        "count": row["targets"],
        "total": row["total"],
        "width": f"{100 * row['targets'] / max(row['total'], 1):.1f}%",
    }
