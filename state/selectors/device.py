"""One device's condition, in the shape of the API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from registry.models import Device
from state.choices import Cause, Connectivity
from state.models import Alarm, DeadLetter, Presence, Risk, TelemetrySummary, Twin
from state.selectors.alarms import describe_flapping, open_alarms
from state.selectors.diagnosis import diagnose_device
from state.selectors.provenance import known_by


def get_state(device: Device) -> dict[str, Any]:
    """Return the condition in the shape of the API, and how each value is known."""
    return get_state_and_facts(device)[0]


def get_state_and_facts(device: Device) -> tuple[dict[str, Any], DeviceFacts]:
    """Return the state as ``get_state`` does, and the facts, from the same rows."""
    presence = Presence.objects.filter(pk=device.pk).first()
    twin = Twin.objects.filter(pk=device.pk).first()
    shown = {
        "presence": _presence(presence),
        "twin": _twin(twin),
        "telemetry": latest_telemetry(device),
        "alarms": [_alarm(alarm) for alarm in open_alarms(device)],
        "risk": get_risk(device),
        "diagnosis": diagnose_device(device),
    }
    return shown | {"known_by": known_by(shown, twin)}, _facts(presence, twin)


def latest_telemetry(device: Device) -> dict[str, dict[str, Any]]:
    """Return the latest value of each metric, with the unit of the product."""
    summary = TelemetrySummary.objects.filter(pk=device.pk).first()
    if summary is None:
        return {}
    units = {metric["name"]: metric.get("unit") for metric in device.product.metrics}
    return {
        metric: {"value": known["value"], "at": known["at"], "unit": units.get(metric)}
        for metric, known in sorted(summary.latest.items())
    }


def get_risk(device: Device) -> dict[str, Any] | None:
    """Return the score and its reasons; None if nothing is known yet."""
    row = Risk.objects.filter(pk=device.pk).first()
    if row is None:
        return None
    return {"score": row.score, "reasons": row.reasons, "at": row.at}


def _presence(row: Presence | None) -> dict[str, Any]:
    if row is None:  # never heard
        return {
            "connectivity": Connectivity.OFFLINE.value,
            "since": None,
            "cause": Cause.NEVER_CONNECTED.value,
            "last_seen_at": None,
            "last_activity_at": None,
        }
    return {
        "connectivity": row.connectivity,
        "since": row.since,
        "cause": row.cause or None,
        "last_seen_at": row.last_seen_at,
        "last_activity_at": row.last_activity_at,
    }


def _twin(row: Twin | None) -> dict[str, Any]:
    twin = row or Twin()
    return {
        "desired": twin.desired,
        "desired_version": twin.desired_version,
        "reported": twin.reported,
        "reported_version": twin.reported_version,
        "delta": twin.delta,
    }


def _alarm(alarm: Alarm) -> dict[str, Any]:
    return {
        "id": str(alarm.public_id),
        "code": alarm.code,
        "severity": alarm.severity,
        "state": alarm.state,
        "count": alarm.count,
        "raised_at": alarm.raised_at,
        "flapping": alarm.flapping_since is not None,
        "text": describe_flapping(alarm),
    }


@dataclass(frozen=True)
class DeviceFacts:
    """Counts and times beside the API's shape that explain it to a person."""

    disconnects_72h: int = 0
    clock_skew: bool = False
    reported_at: datetime | None = None


def _facts(presence: Presence | None, twin: Twin | None) -> DeviceFacts:
    """Return the facts; the defaults for a device that was never heard."""
    return DeviceFacts(
        disconnects_72h=presence.disconnects_72h if presence else 0,
        clock_skew=presence.clock_skew if presence else False,
        reported_at=twin.reported_at if twin else None,
    )


def latest_dead_letters_across_tenants(*, limit: int) -> list[DeadLetter]:
    """Return the newest letters, also of unknown devices: for a superuser."""
    return list(DeadLetter.objects.select_related("tenant").order_by("-pk")[:limit])
