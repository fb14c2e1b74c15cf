"""Diagnoses of a device and of a set of devices, from counted peers."""

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
    DiagnosisEvidence,
    Group,
    PathFigures,
    diagnose,
)
from state.models import AdapterPath, Alarm, CommandTally, FieldFeedback, Presence, Twin
from state.selectors import peers
from state.selectors.adapter_liveness import blind_since, blind_spans
from state.selectors.peers import FLEET, TRAITS, Count, Counts

FEEDBACK_HOLDS = timedelta(hours=72)  # older feedback says little about now
# A device that fell silent while the platform was blind comes back within minutes.
BLIND_EXPLAINS = timedelta(minutes=10)
WINDOW_IN_WORDS = "now, or within the last hour"


def diagnose_device(device: Device, *, now: datetime | None = None) -> Any:
    """Return the diagnosis in the shape of the API; None if nothing is wrong."""
    now = now or timezone.now()
    presence = Presence.objects.filter(pk=device.pk).first()
    feedback = _feedback(device, presence, now)
    trouble = _trouble(device, presence, now)
    if trouble == Trouble.NONE and feedback is None:
        return None
    is_counted = trouble not in (Trouble.NONE, Trouble.BLIND)
    traits = _traits_of(device)
    counts = _counts_near(device, now) if is_counted else {}
    evidence = DiagnosisEvidence(
        trouble=trouble,
        groups={
            trait: _without(counts.get((trait, key)), trouble, name)
            for trait, (key, name) in traits.items()
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
    return found and _to_dict(found, evidence, now)


def diagnose_set(
    tenant: Tenant, device_ids: Collection[int], *, now: datetime | None = None
) -> Any:
    """Return the diagnosis of a tenant's devices; None if less than half are affected.

    Only the most frequent trouble is diagnosed.
    """
    now = now or timezone.now()
    mine = peers.count_set(tenant, device_ids, now=now)
    whole = mine.get(FLEET, Count())
    trouble = max(peers.TROUBLED, key=lambda kind: whole.of(kind))
    size = whole.of(trouble)
    if not size or 2 * size < whole.total:
        return None
    values = _most_affected(mine, trouble)
    near = {trait: value for trait, value in values.items() if trait in NEAR}
    counts = peers.count_peers(tenant, **near, now=now)
    names = _names(values)
    groups = {}
    for trait, value in values.items():
        count = counts.get((trait, value), Count())
        affected, covered = count.of(trouble), mine[trait, value].of(trouble)
        groups[trait] = Group(names[trait], affected, count.total, covered)
    fleet = counts.get(FLEET, Count())
    evidence = DiagnosisEvidence(
        trouble=Trouble(trouble),
        groups=groups,
        fleet=Group("the whole fleet", fleet.of(trouble), fleet.total),
        set_size=size,
        path=_path(values["adapter"]) if "adapter" in values else None,
    )
    found = diagnose(evidence)
    return found and _to_dict(found, evidence, now)


def _most_affected(counts: Counts, trouble: Trouble) -> dict[str, str]:
    """Return the value of each trait that most of the affected devices have."""
    best: dict[str, str] = {}
    for trait in TRAITS:
        values = [value for name, value in counts if name == trait]
        if values:
            best[trait] = max(values, key=lambda v: counts[trait, v].of(trouble))
    return best


def _trouble(device: Device, presence: Presence | None, now: datetime) -> Trouble:
    """Return the first trouble, in the order of the enumeration, that applies."""
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
    """Return the newest observation that is about the present condition."""
    # Feedback from people of an earlier owner is not shown.
    own = FieldFeedback.objects.filter(device=device, tenant=device.tenant_id)
    newest = own.filter(at__gt=now - FEEDBACK_HOLDS)
    found = newest.order_by("-at", "-pk").first()
    if found is None or (presence is not None and found.at < presence.since):
        return None
    return found


def _began_blind(device: Device, presence: Presence | None, now: datetime) -> bool:
    """Return whether it may have left during a recent outage of the platform."""
    if presence is None or presence.cause not in (
        Cause.MISSED_HEARTBEAT,
        Cause.MISSED_HEARTBEATS,
    ):
        return False  # a message said that it left
    heard = presence.last_activity_at or presence.since
    adapter = device.gateway.adapter if device.gateway else device.adapter
    blind = blind_since(now, adapter)
    if blind is not None and blind <= presence.since:
        return True
    return any(
        to_at > now - BLIND_EXPLAINS and heard < to_at and from_at < presence.since
        for from_at, to_at in blind_spans(adapter)
    )


def _path(adapter: str) -> PathFigures | None:
    row = AdapterPath.objects.filter(pk=adapter).first()
    if row is None:
        return None
    latency = row.latency_p95_ms, row.usual_p95_ms
    return PathFigures(row.adapter, row.tries, row.unanswered, *latency)


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
    return {trait: value for trait, value in traits.items() if value[0]}


def _counts_near(device: Device, now: datetime) -> Counts:
    """Count the peers of a device; for a gateway these include its children."""
    gateway = device.pk if device.kind == "gateway" else device.gateway_id
    return peers.count_peers(
        device.tenant,
        gateway=str(gateway) if gateway else None,
        site=str(device.site_id),
        now=now,
    )


def _without(count: Count | None, trouble: Trouble, name: str) -> Group:
    """Return the group without the device itself, which is affected."""
    if count is None:
        return Group(name, 0, 0)
    return Group(name, max(0, count.of(trouble) - 1), max(0, count.total - 1))


def _without_children(
    evidence: DiagnosisEvidence, counts: Counts, gateway: Device
) -> DiagnosisEvidence:
    """Leave a gateway's children out: they are silent because the gateway is."""
    children = counts.get(("gateway", str(gateway.pk)), Count())
    lost = children.of(evidence.trouble)

    def less(group: Group) -> Group:
        total = max(0, group.total - children.total)
        return Group(group.value, min(total, max(0, group.affected - lost)), total)

    return DiagnosisEvidence(
        trouble=evidence.trouble,
        groups={trait: less(group) for trait, group in evidence.groups.items()},
        fleet=less(evidence.fleet),
        began_blind=evidence.began_blind,
        path=evidence.path,
        feedback=evidence.feedback,
        is_online=evidence.is_online,
    )


def _names(keys: Mapping[str, str]) -> dict[str, str]:
    """Return the names people know these trait values by."""
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


def _to_dict(
    found: Diagnosis, evidence: DiagnosisEvidence, now: datetime
) -> dict[str, Any]:
    rows = [
        {
            "name": trait,
            "value": group.value,
            "affected": group.affected,
            "total": group.total,
            "rest_affected": max(0, evidence.fleet.affected - group.affected),
            "rest_total": max(0, evidence.fleet.total - group.total),
            "text": f"{group.affected:,} of {group.total:,} other devices with the same"
            f" {trait} are affected",
        }
        for trait, group in evidence.groups.items()
        if group.total
    ]
    facts = []
    if evidence.feedback is not None:
        facts.append(("feedback", f"people on site report “{evidence.feedback.label}”"))
    if evidence.gateway_is_away:
        facts.append(("gateway", "its gateway is not online"))
    if evidence.trouble == Trouble.BLIND or evidence.began_blind:
        facts.append(("listening", "the platform was not listening when it began"))
    if evidence.path is not None and evidence.path.tries:
        facts.append(("path", evidence.path.describe()))
    rows += [{"name": name, "value": "", "text": text} for name, text in facts]
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
