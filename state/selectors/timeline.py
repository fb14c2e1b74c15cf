"""What state adds to a device's one timeline: transitions and alarms."""

from __future__ import annotations

from datetime import datetime
from operator import itemgetter
from typing import Any

from django.db.models import Q

from registry.models import Device
from state.lifecycle import Cause, Connectivity
from state.models import Alarm, ConnectivityTransition

PLATFORM, DEVICE = "platform", "device"


def timeline_entries(
    device: Device, before: datetime, limit: int
) -> list[dict[str, Any]]:
    """Return up to ``limit`` entries before a moment, the newest first.

    Each has ``at``, ``kind``, ``title``, ``cause``, ``actor`` and ``detail``.
    """
    moved = ConnectivityTransition.objects.filter(device=device, at__lt=before)
    entries = [_moved(row) for row in moved.order_by("-at", "-pk")[:limit]]
    alarms = Alarm.objects.filter(
        Q(raised_at__lt=before)
        | Q(acknowledged_at__lt=before)
        | Q(cleared_at__lt=before),
        device=device,
    ).select_related("acknowledged_by")
    for alarm in alarms.order_by("-last_at")[:limit]:
        entries += [entry for entry in _alarm(alarm) if entry["at"] < before]
    return sorted(entries, key=itemgetter("at"), reverse=True)[:limit]


def _moved(row: ConnectivityTransition) -> dict[str, Any]:
    return {
        "at": row.at,
        "kind": "connectivity",
        "title": Connectivity(row.moved_to).label,
        "cause": row.cause,
        "actor": PLATFORM,
        "detail": {
            "from": row.moved_from,
            "to": row.moved_to,
            "why": Cause(row.cause).label if row.cause else "",
            "session": row.session,
            "abnormal": row.is_abnormal,
        },
    }


def _alarm(alarm: Alarm) -> list[dict[str, Any]]:
    """Return the moments of one alarm."""
    by = alarm.acknowledged_by
    moments = [
        (alarm.raised_at, "raised", DEVICE),
        (alarm.acknowledged_at, "acknowledged", by.username if by else PLATFORM),
        (alarm.cleared_at, "cleared", DEVICE),
    ]
    return [
        {
            "at": at,
            "kind": "alarm",
            "title": f"Alarm {alarm.code} {what}",
            "cause": alarm.message,
            "actor": actor,
            "detail": {
                "id": str(alarm.public_id),
                "code": alarm.code,
                "severity": alarm.severity,
                "state": what,
                "count": alarm.count,
            },
        }
        for at, what, actor in moments
        if at is not None
    ]
