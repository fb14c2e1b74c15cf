"""Diagnoses of a device and of a set of devices, from counted peers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Value
from django.utils import timezone

from registry.choices import JUDGED, DeviceKind
from registry.models import Batch, Device, HardwareRevision, Product, Site, Tenant
from state.choices import (
    OPEN_ALARMS,
    Cause,
    Connectivity,
    Observation,
    Severity,
    Trouble,
)
from state.judgment.diagnosis import diagnose
from state.judgment.diagnosis_evidence import NEAR, DiagnosisEvidence, Group
from state.models import Alarm, CommandTally, FieldFeedback, Presence, Twin
from state.selectors import peers
from state.selectors.adapter_liveness import blind_since, blind_spans
from state.selectors.diagnosis_rows import present
from state.selectors.findings import last_finding, last_finding_of_set
from state.selectors.peer_evidence import Traits, count_evidence, path_figures
from state.selectors.peers import FLEET, TRAITS, Count, Counts

FEEDBACK_HOLDS = timedelta(hours=72)  # older feedback says little about now
# A device that fell silent while the platform was blind comes back within minutes.
BLIND_EXPLAINS = timedelta(minutes=10)


def diagnose_device(device: Device, *, now: datetime | None = None) -> Any:
    """Return the diagnosis in the shape of the API.

    None if nothing is wrong, and for a device that is out of service.
    """
    if device.lifecycle not in JUDGED:
        return None
    now = now or timezone.now()
    presence = Presence.objects.filter(pk=device.pk).first()
    feedback = _feedback(device, presence, now)
    trouble = _trouble(device, presence, now)
    if trouble == Trouble.NONE and feedback is None:
        return None
    is_counted = trouble not in (Trouble.NONE, Trouble.BLIND)
    evidence = count_evidence(
        trouble,
        _traits_of(device),
        _counts_near(device, now) if is_counted else {},
        gateway=device.pk if device.kind == DeviceKind.GATEWAY else None,
        gateway_is_away=presence is not None
        and presence.cause == Cause.GATEWAY_OFFLINE,
        path=path_figures().get(device.adapter),
    )
    evidence = replace(
        evidence,
        began_blind=trouble == Trouble.SILENT and _began_blind(device, presence, now),
        feedback=Observation(feedback.observation) if feedback else None,
        connectivity=Connectivity(presence.connectivity)
        if presence
        else Connectivity.OFFLINE,
    )
    found = diagnose(evidence, last_finding(device, trouble))
    return found and present(found, evidence, now)


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
        path=path_figures().get(values.get("adapter", "")),
    )
    found = diagnose(evidence, last_finding_of_set(tenant, device_ids, trouble))
    return found and present(found, evidence, now)


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
    if presence is None:
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


def _traits_of(device: Device) -> Traits:
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
        "revision": _named(device.hardware_revision),
        "batch": _named(device.batch),
    }
    return {trait: value for trait, value in traits.items() if value[0]}


def _named(row: HardwareRevision | Batch | None) -> tuple[str, str]:
    return ("", "") if row is None else (str(row.pk), row.slug)


def _counts_near(device: Device, now: datetime) -> Counts:
    """Count the peers of a device; for a gateway these include its children."""
    gateway = device.pk if device.kind == DeviceKind.GATEWAY else device.gateway_id
    return peers.count_peers(
        device.tenant,
        gateway=str(gateway) if gateway else None,
        site=str(device.site_id),
        now=now,
    )


def _names(keys: Mapping[str, str]) -> dict[str, str]:
    """Return the names people know these trait values by, in one query."""
    reads = {
        "gateway": (Device.objects.all(), "uid"),
        "site": (Site.objects.all(), "slug"),
        "model": (Product.objects.all(), "slug"),
        "revision": (HardwareRevision.objects.all(), "slug"),
        "batch": (Batch.objects.all(), "slug"),
    }
    parts = [
        rows.filter(pk=keys[trait]).order_by().values_list(Value(trait), name)
        for trait, (rows, name) in reads.items()
        if trait in keys
    ]
    found: dict[str, str] = dict(parts[0].union(*parts[1:], all=True)) if parts else {}
    return {
        trait: found.get(trait, "") if trait in reads else key
        for trait, key in keys.items()
    }
