"""The evidence of incidents, as the correlation wants it, from the apps below."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from commands.selectors.pending import find_devices_being_configured
from console.choices import IncidentCause as C
from console.choices import IncidentObject as K
from console.judgment.correlation import ANY_TENANT, LEAST, Evidence, Group
from console.judgment.incident_titles import describe_trouble
from console.models import AttentionItem
from registry.choices import DeviceKind
from state.choices import AttentionKind
from state.selectors.incident_evidence import (
    KINDS,
    TroubleRow,
    count_group_sizes_across_tenants,
    list_troubles_across_tenants,
)

# So many rejected messages of one sender in this time are a surge.
SURGE, SURGE_WITHIN = 50, timedelta(minutes=10)
PLATFORM = "platform"


@dataclass
class Troubles:
    """All troubles that last now."""

    evidence: list[Evidence]
    sizes: dict[Group, int]
    in_work: set[int]  # devices in maintenance that would be in trouble
    blind: set[int]  # devices of which we know nothing
    object_names: dict[Group, str]


def read_troubles_across_tenants(*, now: datetime) -> Troubles:
    """Return the troubles of devices, and the sizes of the groups concerned."""
    rows = list_troubles_across_tenants(letters_since=now - SURGE_WITHIN, letters=SURGE)
    drifting = {row.device_id for row in rows if row.trouble == "drift"}
    waiting = find_devices_being_configured(drifting) if drifting else set()
    rows = [r for r in rows if r.trouble != "drift" or r.device_id not in waiting]
    names: dict[Group, str] = {}
    lost = {row.uid for row in rows if row.trouble == "silent"}
    evidence = [_evidence(row, names, lost) for row in rows if not row.in_work]
    return Troubles(
        evidence=evidence,
        sizes=_sizes(evidence),
        in_work={row.device_id for row in rows if row.in_work},
        blind={row.device_id for row in rows if row.trouble == "blind"},
        object_names=names,
    )


def read_command_troubles_across_tenants() -> list[Evidence]:
    """Return the commands that need a person, as evidence of their common name.

    Left out are those that are part of an incident with another cause.
    """
    rows = AttentionItem.objects.filter(
        closed_at=None, kind=AttentionKind.COMMAND, device__isnull=False
    )
    free = rows.exclude(incident__isnull=False) | rows.filter(incident__cause=C.COMMAND)
    return [
        Evidence(
            at=row.opened_at,
            device_id=row.device_id or 0,
            kind=str(row.public_id),
            tenant_id=row.tenant_id,
            groups=(Group(row.tenant_id, C.COMMAND, K.COMMAND, row.object_name),),
            own=Group(row.tenant_id, C.COMMAND, K.COMMAND, ""),  # its own work item
            text=row.reason,
        )
        for row in free.order_by("opened_at", "pk")
    ]


def list_stopped_jobs_across_tenants() -> list[AttentionItem]:
    """Return the jobs that stand still."""
    rows = AttentionItem.objects.filter(closed_at=None, kind=AttentionKind.JOB)
    return list(rows.order_by("pk"))


def _evidence(row: TroubleRow, names: dict[Group, str], lost: set[str]) -> Evidence:
    groups, own = _groups(row, names), _own(row, names, lost)
    return Evidence(
        at=row.at,
        device_id=row.device_id,
        kind=f"{row.trouble}:{row.code}",
        tenant_id=row.tenant_id,
        groups=groups if own.cause != C.PLATFORM else (),
        own=own,
        text=describe_trouble(row.uid, row.trouble, row.code),
        is_critical=row.is_critical,
    )


def _groups(row: TroubleRow, names: dict[Group, str]) -> tuple[Group, ...]:
    """Return the groups of a device, the widest first."""
    tenant = row.tenant_id
    gateway = row.uid if row.kind == DeviceKind.GATEWAY else row.gateway
    found = [Group(ANY_TENANT, C.ADAPTER, K.ADAPTER, row.adapter)]
    if gateway:
        found.append(Group(tenant, C.GATEWAY, K.GATEWAY, gateway))
    if row.site:
        group = Group(tenant, C.SITE, K.SITE, row.site)
        names[group] = row.site_name or row.site
        found.append(group)
    if row.firmware:
        version = f"{row.product}/{row.firmware}"
        group = Group(tenant, C.COHORT, K.FIRMWARE, version)
        names[group] = f"{row.product} {row.firmware}"
        found.append(group)
    if row.batch:
        found.append(Group(tenant, C.COHORT, K.BATCH, row.batch))
    return tuple(found)


def _own(row: TroubleRow, names: dict[Group, str], lost: set[str]) -> Group:
    """Return the cause of a trouble that no group explains.

    All troubles of a lost gateway are one with those of its children.
    """
    tenant = row.tenant_id
    if row.trouble == "blind":
        group = Group(tenant, C.PLATFORM, K.PLATFORM, PLATFORM)
        names[group] = "the platform"
        return group
    if row.code == "gateway_offline" and row.gateway:
        return Group(tenant, C.GATEWAY, K.GATEWAY, row.gateway)
    if row.kind == DeviceKind.GATEWAY and row.uid in lost:
        return Group(tenant, C.GATEWAY, K.GATEWAY, row.uid)
    if row.trouble == "drift":
        return Group(tenant, C.DRIFT, K.DEVICE, row.uid)
    return Group(tenant, C.DEVICE, K.DEVICE, row.uid)


def _sizes(evidence: Sequence[Evidence]) -> dict[Group, int]:
    """Count the peers of the groups that may explain something."""
    counts = Counter(group for each in evidence for group in each.groups)
    asked: dict[str, set[str]] = defaultdict(set)
    wide = {group for group, count in counts.items() if count >= LEAST}
    for group in wide:
        asked[group.kind].add(group.key)
    if not wide:
        return {}
    assert set(asked) <= set(KINDS)
    sizes = count_group_sizes_across_tenants(asked)
    keyed = {
        group: sizes.get((group.tenant_id, group.kind, group.key)) for group in wide
    }
    return {group: size for group, size in keyed.items() if size}
