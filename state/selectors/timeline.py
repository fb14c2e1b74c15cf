"""The part of state in a device's timeline: transitions, alarms, twin, feedback."""

from __future__ import annotations

from datetime import datetime
from operator import itemgetter
from typing import Any

from django.db.models import DateTimeField
from django.db.models.functions import Least, Now

from registry.models import Device
from state.choices import (
    AlarmMove,
    AlarmReason,
    Cause,
    Connectivity,
    Observation,
    TwinSide,
)
from state.models import (
    AlarmChange,
    ConnectivityTransition,
    FieldFeedback,
    MaintenancePlace,
    TwinChange,
)
from state.selectors.maintenance import places_at

PLATFORM, DEVICE = "platform", "device"
WINDOW_MOMENTS = ("from_at", "until")


def timeline_entries(
    device: Device, before: datetime, limit: int
) -> list[dict[str, Any]]:
    """Return up to ``limit`` entries before a moment, the newest first.

    Each has ``at``, ``kind``, ``title``, ``cause``, ``actor`` and ``detail``.
    """
    # Entries from the time of an earlier owner are not shown.
    own = {"device": device, "tenant": device.tenant_id}
    moved = ConnectivityTransition.objects.filter(**own, at__lt=before)
    entries = [_transition(row) for row in moved.order_by("-at", "-pk")[:limit]]
    alarms = AlarmChange.objects.filter(**own, at__lt=before)
    alarms = alarms.select_related("alarm", "by").order_by("-at", "-pk")
    entries += [_alarm(row) for row in alarms[:limit]]
    changes = TwinChange.objects.filter(**own, at__lt=before)
    entries += [_twin_change(row) for row in changes.order_by("-at", "-pk")[:limit]]
    work = places_at(device)
    for moment in WINDOW_MOMENTS:
        # Leave out what is still to come: a later window, the end of one in force.
        passed = Least(before, Now(), output_field=DateTimeField())
        begun = work.filter(**{f"{moment}__lt": passed})
        places = begun.order_by(f"-{moment}", "-pk")[:limit]
        entries += [_maintenance(place, moment) for place in places]
    seen = FieldFeedback.objects.filter(**own, at__lt=before)
    seen = seen.select_related("by").order_by("-at", "-pk")
    entries += [_feedback(row) for row in seen[:limit]]
    return sorted(entries, key=itemgetter("at"), reverse=True)[:limit]


def _maintenance(row: MaintenancePlace, moment: str) -> dict[str, Any]:
    begins, window = moment == "from_at", row.window
    return {
        "at": getattr(row, moment),
        "kind": "maintenance",
        "title": "maintenance begins" if begins else "maintenance ends",
        "cause": window.reason,
        "actor": window.created_by.username if window.created_by else PLATFORM,
        "detail": {"window": str(window.public_id), "site": row.site and row.site.slug},
    }


def _transition(row: ConnectivityTransition) -> dict[str, Any]:
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


def _alarm(row: AlarmChange) -> dict[str, Any]:
    move, reason = AlarmMove(row.move), AlarmReason(row.reason)
    actor = row.by.username if row.by else PLATFORM
    return {
        "at": row.at,
        "kind": "alarm",
        "title": f"Alarm {row.code} {move.label}",
        "cause": row.message if move == AlarmMove.RAISED else reason.label,
        "actor": DEVICE if reason == AlarmReason.EVENT else actor,
        "detail": {
            "id": str(row.alarm.public_id),
            "code": row.code,
            "severity": row.severity,
            "state": row.move,
            "reason": row.reason,
            "count": row.count,
        },
    }


def _twin_change(row: TwinChange) -> dict[str, Any]:
    keys = ", ".join(row.changes)
    is_reported = row.side == TwinSide.REPORTED
    return {
        "at": row.at,
        "kind": row.side,
        "title": f"{TwinSide(row.side).label.capitalize()} {keys}",
        "cause": "",
        "actor": DEVICE if is_reported else PLATFORM,
        "detail": {"version": row.version, "changes": row.changes},
    }


def _feedback(row: FieldFeedback) -> dict[str, Any]:
    return {
        "at": row.at,
        "kind": "feedback",
        "title": f"People on site report: {Observation(row.observation).label}",
        "cause": row.note,
        "actor": row.by.username if row.by else "",
        "detail": {"id": str(row.public_id), "observation": row.observation},
    }
