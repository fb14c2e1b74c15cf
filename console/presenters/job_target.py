"""The target of a job, and the result of the dry run, as the wizard shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from commands.selectors.definitions import (
    find_products,
    list_definitions_of_tenant,
)
from console.presenters.labels import duration
from fleet.selectors.cohorts import get_cohort
from fleet.selectors.search import count
from fleet.services.targets import Targets, resolve_targets
from iotplatform.common.counts import counted
from registry.permissions import Right
from registry.selectors.devices import list_devices

if TYPE_CHECKING:
    from django.http import QueryDict

    from commands.definitions import Definition
    from console.scope import ConsoleScope
    from registry.models import Tenant

MAX_LISTED = 1_000  # devices ticked one by one; "select all" is for more
SITES_SHOWN = 12


class NoTarget(Exception):
    """There is no target; the message says what to do."""


@dataclass(frozen=True)
class Target:
    """Devices of one tenant: by query, by cohort, or listed."""

    tenant: Tenant
    source: dict[str, Any]  # as fleet.services.jobs takes it
    query: str
    label: str
    tenants: list[Tenant]  # the tenants that a person may choose from

    @cached_property
    def resolved(self) -> Targets:
        """The devices; preview and launch of one request use the same ones."""
        return resolve_targets(tenant=self.tenant, source=self.source)

    @cached_property
    def commands(self) -> dict[str, Definition]:
        """The commands that its devices take, by name.

        The devices are resolved only where a command depends on the product.
        """
        own = list_definitions_of_tenant(self.tenant)
        if not own.depend_on_product:
            return own.every()
        return own.of_products(find_products(self.resolved.device_ids))

    def count(self) -> int:
        """Count the devices, without resolving them if nothing else has."""
        if "resolved" in vars(self):
            return len(self.resolved.members)
        if "devices" in self.source:
            return len(self.source["devices"])
        return count(tenants=[self.tenant], q=self.query)

    @property
    def carried(self) -> list[tuple[str, str]]:
        """The hidden fields that carry the target to the next step."""
        if "devices" in self.source:
            pairs = [("device", uid) for uid in self.source["devices"]]
        elif "cohort" in self.source:
            pairs = [("cohort", str(self.source["cohort"]))]
        else:
            pairs = [("q", self.query), ("all", "1")]
        return [*pairs, ("tenant", self.tenant.slug)]


def read_target(data: QueryDict, scope: ConsoleScope) -> Target:
    """Read the target of the form or link; raises NoTarget, QueryError, NotFound."""
    if cohort_id := data.get("cohort"):
        cohort = get_cohort(tenants=scope.all_tenants, public_id=cohort_id)
        scope.require(Right.OPERATE, cohort.tenant_id)
        label = f"cohort “{cohort.name}”"
        source = {"cohort": str(cohort.public_id)}
        return Target(cohort.tenant, source, cohort.query, label, [])
    uids = sorted(set(data.getlist("device")))
    if uids and not data.get("all"):
        return _listed(uids, scope)
    query = str(data.get("q", "")).strip()
    if not query:
        raise NoTarget("Choose devices on the fleet page first.")
    return _matching(query, str(data.get("tenant", "")), scope.writable())


def _listed(uids: list[str], scope: ConsoleScope) -> Target:
    if len(uids) > MAX_LISTED:
        raise NoTarget(
            f"At most {MAX_LISTED:,} devices can be ticked. Use a query for more."
        )
    found = list(list_devices(tenants=scope.all_tenants).filter(uid__in=uids))
    if len(found) != len(uids):
        raise NoTarget("Some of these devices no longer exist.")
    owners = {device.tenant_id: device.tenant for device in found}
    if len(owners) != 1:
        raise NoTarget(
            "These devices belong to several tenants. A job is for one tenant."
        )
    [tenant] = [row for row in scope.all_tenants if row.pk in owners]
    scope.require(Right.OPERATE, tenant.pk)
    return Target(tenant, {"devices": uids}, "", "selected devices", [])


def _matching(query: str, slug: str, writable: list[Tenant]) -> Target:
    """Take the named tenant, else the one with the most matches."""
    named = [row for row in writable if row.slug == slug]
    tenant = (named or writable)[0]
    if not named and len(writable) > 1:
        tenant = max(writable, key=lambda row: count(tenants=[row], q=query))
    return Target(tenant, {"query": query}, query, "all devices that match", writable)


def headline(
    matched: int, preview: dict[str, Any] | None = None, *, is_listed: bool
) -> str:
    """Return how many devices match, receive the command, and are left out."""
    verb = "selected" if is_listed else "match" if matched != 1 else "matches"
    found = f"{counted(matched, 'device')} {verb}"
    if preview is None:
        return found
    targets, left_out = preview["targets"], preview["matched"] - preview["targets"]
    found += f", {targets:,} {'receives' if targets == 1 else 'receive'} it"
    if left_out:
        found += f", {left_out:,} {'is' if left_out == 1 else 'are'} left out"
    return found


def seen_of(preview: dict[str, Any]) -> dict[str, str]:
    """Return what a step says of the devices, for the next one to compare."""
    return {
        "seen_matched": str(preview["matched"]),
        "seen_targets": str(preview["targets"]),
        "seen_hash": preview["target_hash"],
    }


def describe_change(seen: Mapping[str, str], preview: dict[str, Any]) -> str:
    """Return how the devices differ from those of the step before; empty: not at all.

    The first step knows their number only.
    """
    now = seen_of(preview)
    if all(seen.get(name, value) == value for name, value in now.items()):
        return ""
    change = ", ".join(
        f"{seen[name]} {past}, now {now[name]}"
        for name, past in (("seen_matched", "matched"), ("seen_targets", "received it"))
        if seen.get(name, now[name]) != now[name]
    )
    return change or "as many match as before, but not the same ones"


def present_preview(
    preview: dict[str, Any], *, has_window: bool = False
) -> dict[str, Any]:
    """Return the result of the dry run as figures, reasons and shares."""
    scope, risk = preview["scope"], preview["risk"]
    left_out = sum(row["count"] for row in scope["left_out"])
    figures = [
        ("match", scope["matched"], ""),
        ("receive it", scope["targets"], ""),
        ("not online now", risk["not_online"], "warn" if risk["not_online"] else ""),
        ("left out", left_out, "warn" if left_out else ""),
        ("have these values already", scope["compliant"], ""),
        ("site" if len(scope["sites"]) == 1 else "sites", len(scope["sites"]), ""),
        ("in another job", risk["in_other_jobs"], "warn"),
        ("with an open command", risk["with_open_commands"], "warn"),
    ]
    return {
        "figures": [
            {"label": label, "value": value, "kind": kind if value else ""}
            for label, value, kind in figures
        ],
        "left_out": scope["left_out"],
        "nothing_changes": bool(scope["compliant"]) and not scope["targets"],
        "alarms": duration(scope["alarms_held_back_seconds"]),
        "conflicts": risk["in_other_jobs"],
        "sites": [_site(row) for row in scope["sites"][:SITES_SHOWN]],
        "more_sites": max(0, len(scope["sites"]) - SITES_SHOWN),
        "targets": scope["targets"],
        "matched": scope["matched"],
        "offline": risk["not_online"],
        "waves": scope["waves"],
        "systems": _waits_within_systems(scope),
        "cost": describe_cost(preview["cost"], has_window=has_window),
        "target_hash": preview["target_hash"],
        "index_lag_seconds": preview["index_lag_seconds"],
    }


def _waits_within_systems(scope: Mapping[str, int]) -> str:
    """Return who gets the command only after the other half of their system."""
    parts = []
    if children := scope["waits_for_children"]:
        wait = "waits for its" if children == 1 else "wait for their"
        parts.append(f"{counted(children, 'gateway')} {wait} children")
    if gateways := scope["waits_for_gateway"]:
        wait = "waits for its gateway" if gateways == 1 else "wait for their gateways"
        parts.append(f"{counted(gateways, 'child device')} {wait}")
    return "; ".join(parts)


def describe_cost(cost: dict[str, Any], *, has_window: bool) -> dict[str, Any]:
    """Return the cost in words; without past jobs nothing is said of the time.

    ``has_window``: the job sends in some hours only, and the time is of those.
    """
    seconds = cost["seconds"]
    if seconds is None:
        return {"bytes": cost["bytes"], "takes": "not known: no such job has ended yet"}
    low, high = duration(seconds["low"]), duration(seconds["high"])
    takes = f"{low} to {high}" if low != high else f"about {low}"
    past = counted(cost["past_jobs"], "past job")
    takes = f"{takes} in 8 of 10 cases, by {past}"
    if has_window:
        takes += "; hours outside the window are not counted"
    return {"bytes": cost["bytes"], "takes": takes}


def _site(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "site": row["site"],
        "count": row["targets"],
        "total": row["total"],
        "width": f"{100 * row['targets'] / max(row['total'], 1):.1f}%",
    }
