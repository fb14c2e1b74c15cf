"""What is wrong with a device, or a set of them, and where the fault lies."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from registry.choices import Lifecycle
from registry.models import Device, Product, Site, Tenant
from state.choices import (
    OPEN_ALARMS,
    Cause,
    Connectivity,
    Observation,
    Severity,
    Trouble,
)
from state.judgment.diagnosis import (
    NEAR,
    Diagnosis,
    Evidence,
    Group,
    PathFigures,
    diagnose,
)
from state.models import AdapterPath, Alarm, CommandTally, FieldFeedback, Presence, Twin
from state.selectors import peers
from state.selectors.adapter_liveness import blind_since, blind_spans
from state.selectors.peers import FLEET, TRAITS, Count, Counts

FEEDBACK_HOLDS = timedelta(hours=72)  # what the field saw longer ago says little
# Devices that fell silent while we were blind come back within minutes, or are lost.
BLIND_EXPLAINS = timedelta(minutes=10)
WINDOW_IN_WORDS = "now, or within the last hour"


def diagnose_device(device: Device, *, now: datetime | None = None) -> Any:
    """Return the diagnosis as the contract words it; None when nothing is wrong."""
    now = now or timezone.now()
    presence = Presence.objects.filter(pk=device.pk).first()
    feedback = _feedback(device, presence, now)
    trouble = _trouble(device, presence, now)
    if trouble == Trouble.NONE and feedback is None:
        return None
    is_counted = trouble not in (Trouble.NONE, Trouble.BLIND)
    named = _traits_of(device)
    counts = _counts_near(device, now) if is_counted else {}
    evidence = Evidence(
        trouble=trouble,
        groups={
            trait: _without(counts.get((trait, key)), trouble, name)
            for trait, (key, name) in named.items()
        },
        fleet=_without(counts.get(FLEET), trouble, "the whole fleet"),
        gateway_is_away=presence is not None
        and presence.cause == Cause.GATEWAY_OFFLINE,
        began_blind=trouble == Trouble.SILENT and _began_blind(device, presence, now),
        path=_path(device.adapter),
        feedback=Observation(feedback.observation) if feedback else None,
        is_online=presence is not None and presence.connectivity == Connectivity.ONLINE,
    )
    if device.kind == "gateway":
        evidence = _without_children(evidence, counts, device)
    found = diagnose(evidence)
    return found and _worded(found, evidence, now)


def diagnose_set(
    tenant: Tenant, device_ids: Collection[int], *, now: datetime | None = None
) -> Any:
    """Return the diagnosis of a tenant's devices; None when few are in trouble.

    The trouble that most of them are in is the one that is diagnosed.
    """
    now = now or timezone.now()
    mine = peers.count_set(tenant, device_ids, now=now)
    whole = mine.get(FLEET, Count())
    trouble = max(peers.TROUBLED, key=lambda kind: whole.of(str(kind)))
    size = whole.of(str(trouble))
    if not size or 2 * size < whole.total:
        return None
    best = {
        trait: max(
            (key for key in mine if key[0] == trait),
            key=lambda key: mine[key].of(str(trouble)),
            default=None,
        )
        for trait in TRAITS
    }
    near = {trait: key[1] for trait, key in best.items() if key and trait in NEAR}
    counts = peers.count_peers(tenant, **near, now=now)
    names = _names({trait: key[1] for trait, key in best.items() if key})
    groups = {
        trait: Group(
            names[trait],
            counts.get(key, Count()).of(str(trouble)),
            counts.get(key, Count()).total,
            mine[key].of(str(trouble)),
        )
        for trait, key in best.items()
        if key
    }
    fleet = counts.get(FLEET, Count())
    evidence = Evidence(
        trouble=Trouble(trouble),
        groups=groups,
        fleet=Group("the whole fleet", fleet.of(str(trouble)), fleet.total),
        set_size=size,
        path=_path(best["adapter"][1]) if best["adapter"] else None,
    )
    found = diagnose(evidence)
    return found and _worded(found, evidence, now)


def _trouble(device: Device, presence: Presence | None, now: datetime) -> Trouble:
    """Say what is wrong with one device, in the order of the enumeration."""
    if device.lifecycle in (Lifecycle.RETIRED, Lifecycle.REPLACED) or presence is None:
        return Trouble.NONE
    where, cause = presence.connectivity, presence.cause
    if cause == Cause.PLATFORM_BLIND:
        return Trouble.BLIND
    if cause == Cause.INVALID_MESSAGES:
        return Trouble.GARBLED
    is_away = where in (Connectivity.OFFLINE, Connectivity.SUSPECT)
    left_by_itself = cause in (Cause.GOODBYE, Cause.NEVER_CONNECTED)
    if (is_away and not left_by_itself) or cause == Cause.GATEWAY_OFFLINE:
        return Trouble.SILENT
    failing = CommandTally.objects.filter(
        pk=device.pk,
        failed__gte=peers.LEAST_FAILED,
        last_failed_at__gt=now - peers.COMMANDS_WINDOW,
    )
    if failing.exists():
        return Trouble.COMMANDS
    critical = Alarm.objects.filter(
        device=device, severity=Severity.CRITICAL, state__in=OPEN_ALARMS
    )
    if critical.exists():
        return Trouble.ALARM
    flaps = presence.disconnects_72h >= peers.LEAST_DISCONNECTS
    return Trouble.FLAPPING if flaps else Trouble.NONE


def _feedback(
    device: Device, presence: Presence | None, now: datetime
) -> FieldFeedback | None:
    """Return the newest observation that is about the condition as it is now."""
    # What an earlier owner's people saw is not told.
    own = FieldFeedback.objects.filter(device=device, tenant=device.tenant_id)
    newest = own.filter(at__gt=now - FEEDBACK_HOLDS)
    found = newest.order_by("-at", "-pk").first()
    if found is None or (presence is not None and found.at < presence.since):
        return None
    return found


def _began_blind(device: Device, presence: Presence | None, now: datetime) -> bool:
    """Say whether it may have left while we were blind, and that was just now."""
    if presence is None or presence.cause not in (
        Cause.MISSED_HEARTBEAT,
        Cause.MISSED_HEARTBEATS,
    ):
        return False  # that it left we heard
    heard = presence.last_activity_at or presence.since
    door = device.gateway.adapter if device.gateway else device.adapter
    blind = blind_since(now, door)
    if blind is not None and blind <= presence.since:
        return True
    return any(
        to_at > now - BLIND_EXPLAINS and heard < to_at and from_at < presence.since
        for from_at, to_at in blind_spans(door)
    )


def _path(adapter: str) -> PathFigures | None:
    row = AdapterPath.objects.filter(pk=adapter).first()
    if row is None:
        return None
    return PathFigures(row.tries, row.unanswered, row.latency_p95_ms, row.usual_p95_ms)


def _traits_of(device: Device) -> dict[str, tuple[str, str]]:
    """Return each trait of a device: its key in the counts, and its name."""
    firmware = Twin.objects.filter(pk=device.pk).values_list("firmware", flat=True)
    version = firmware.first() or ""
    traits = {
        "gateway": (str(device.gateway_id), device.gateway.uid)
        if device.gateway
        else ("", ""),
        "site": (str(device.site_id), device.site.slug),
        "adapter": (device.adapter, device.adapter),
        "firmware": (version, version),
        "model": (str(device.product_id), device.product.slug),
    }
    return {trait: named for trait, named in traits.items() if named[0]}


def _counts_near(device: Device, now: datetime) -> Counts:
    """Count the peers of a device; of a gateway, its children among them."""
    gateway = device.pk if device.kind == "gateway" else device.gateway_id
    return peers.count_peers(
        device.tenant,
        gateway=str(gateway) if gateway else None,
        site=str(device.site_id),
        now=now,
    )


def _without(count: Count | None, trouble: Trouble, name: str) -> Group:
    """Return the peers: the device itself, which is in trouble, is none of them."""
    if count is None:
        return Group(name, 0, 0)
    return Group(name, max(0, count.of(str(trouble)) - 1), max(0, count.total - 1))


def _without_children(evidence: Evidence, counts: Counts, gateway: Device) -> Evidence:
    """Leave a gateway's children out: that they are silent too follows from it."""
    children = counts.get(("gateway", str(gateway.pk)), Count())
    lost = children.of(str(evidence.trouble))

    def less(group: Group) -> Group:
        total = max(0, group.total - children.total)
        return Group(group.value, min(total, max(0, group.affected - lost)), total)

    return Evidence(
        trouble=evidence.trouble,
        groups={trait: less(group) for trait, group in evidence.groups.items()},
        fleet=less(evidence.fleet),
        began_blind=evidence.began_blind,
        path=evidence.path,
        feedback=evidence.feedback,
        is_online=evidence.is_online,
    )


def _names(keys: Mapping[str, str]) -> dict[str, str]:
    """Return the names of these values of traits."""
    names = dict(keys)
    reads = {
        "gateway": (Device.objects.all(), "uid"),
        "site": (Site.objects.all(), "slug"),
        "model": (Product.objects.all(), "slug"),
    }
    for trait, (rows, name) in reads.items():
        if trait in keys:
            found = rows.filter(pk=keys[trait]).values_list(name, flat=True).first()
            names[trait] = str(found or "")
    return names


def _worded(found: Diagnosis, evidence: Evidence, now: datetime) -> dict[str, Any]:
    rows = [
        {
            "name": trait,
            "value": group.value,
            "affected": group.affected,
            "total": group.total,
            "rest_affected": max(0, evidence.fleet.affected - group.affected),
            "rest_total": max(0, evidence.fleet.total - group.total),
            "text": f"{group.affected} of {group.total} peers on the same {trait}"
            " show the same",
        }
        for trait, group in evidence.groups.items()
        if group.total
    ]
    told = []
    if evidence.feedback is not None:
        told.append(("feedback", f"the field says “{evidence.feedback.label}”"))
    if evidence.gateway_is_away:
        told.append(("gateway", "its gateway is not online"))
    if evidence.trouble == Trouble.BLIND or evidence.began_blind:
        told.append(("listening", "the platform was not listening when it began"))
    if evidence.path is not None and evidence.path.tries:
        told.append(("path", evidence.path.in_words()))
    rows += [{"name": name, "value": "", "text": text} for name, text in told]
    return {
        "verdict": found.verdict.value,
        "confidence": found.confidence,
        "where": found.where or None,
        "text": found.text,
        "trouble": evidence.trouble.value,
        "window": WINDOW_IN_WORDS,
        "evidence": rows,
        "at": now,
    }
