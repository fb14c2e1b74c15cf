"""The part of state in a device's timeline: transitions, alarms, twin, feedback."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from operator import itemgetter
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.db.models.functions import Now

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

M = TypeVar("M", bound=Model)
Entry = dict[str, Any]

PLATFORM, DEVICE = "platform", "device"
WINDOW_MOMENTS = ("from_at", "until")


@dataclass(frozen=True)
class Stretch:
    """Which entries to read: so many that are nearest to an instant.

    They are older than it, or, if ``newer``, from it on.
    """

    edge: datetime
    limit: int
    newer: bool = False

    def read(self, rows: QuerySet[M], moment: str = "at") -> list[M]:
        """Return these rows, the newest first; ``moment`` is their time's column."""
        sign, bound = ("", "gte") if self.newer else ("-", "lt")
        beyond = rows.filter(**{f"{moment}__{bound}": self.edge})
        found = list(beyond.order_by(f"{sign}{moment}", f"{sign}pk")[: self.limit])
        return found[::-1] if self.newer else found

    def merge(self, *sources: list[Entry]) -> list[Entry]:
        """Merge what was read of several kinds; equal times stay in this order."""
        entries = sorted(chain(*sources), key=itemgetter("at"), reverse=True)
        return entries[-self.limit :] if self.newer else entries[: self.limit]


def timeline_entries(device: Device, stretch: Stretch) -> list[Entry]:
    """Return the entries of a stretch, the newest first.

    Each has ``at``, ``kind``, ``title``, ``cause``, ``actor`` and ``detail``.
    """
    # Entries from the time of an earlier owner are not shown.
    own = {"device": device, "tenant": device.tenant_id}
    moved = stretch.read(ConnectivityTransition.objects.filter(**own))
    alarms = AlarmChange.objects.filter(**own).select_related("alarm", "by")
    changes = stretch.read(TwinChange.objects.filter(**own))
    work = places_at(device)
    windows = [
        # Leave out what is still to come: a later window, the end of one in force.
        [
            _maintenance(place, moment)
            for place in stretch.read(work.filter(**{f"{moment}__lt": Now()}), moment)
        ]
        for moment in WINDOW_MOMENTS
    ]
    seen = FieldFeedback.objects.filter(**own).select_related("by")
    return stretch.merge(
        [_transition(row) for row in moved],
        [_alarm(row) for row in stretch.read(alarms)],
        [_twin_change(row) for row in changes],
        *windows,
        [_feedback(row) for row in stretch.read(seen)],
    )


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
