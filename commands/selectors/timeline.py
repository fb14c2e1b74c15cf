"""One merged history of a device: its life, its state, its commands."""

from __future__ import annotations

from datetime import datetime
from itertools import chain
from operator import itemgetter
from typing import Any

from commands.models import CommandEvent
from registry.models import Device
from registry.selectors.audit import Told, list_edits_of, tell
from registry.selectors.devices import list_moves
from state.selectors import timeline_entries

Entry = dict[str, Any]


def merged_timeline(
    device: Device, *, before: datetime, limit: int
) -> tuple[list[Entry], datetime | None]:
    """Return entries before an instant, newest first, and where the next page begins.

    Entries of one instant are never divided between two pages.
    """
    wanted = limit + 1
    while True:
        sources = [
            read(device, before, wanted)
            for read in (
                _lifecycle_entries,
                _registry_entries,
                timeline_entries,
                _command_entries,
            )
        ]
        entries = sorted(chain(*sources), key=itemgetter("at"), reverse=True)
        page = entries[:limit]
        rest = entries[limit:]
        while page and rest and rest[0]["at"] == page[-1]["at"]:
            page.append(rest.pop(0))
        # What was cut at the last instant of the page may hold more of that instant.
        if not any(
            len(source) >= wanted and source[-1]["at"] == page[-1]["at"]
            for source in sources
        ):
            return page, page[-1]["at"] if rest else None
        wanted *= 2


def _lifecycle_entries(device: Device, before: datetime, limit: int) -> list[Entry]:
    moves = list_moves(device).filter(at__lt=before)[:limit]
    return [
        {
            "at": move.at,
            "kind": "lifecycle",
            "title": f"{move.moved_from or 'new'} → {move.moved_to}",
            "cause": move.reason,
            "actor": move.actor.get_username() if move.actor else "platform",
            "detail": {
                "replaced_by": move.replaced_by.uid if move.replaced_by else None
            },
        }
        for move in moves
    ]


def _registry_entries(device: Device, before: datetime, limit: int) -> list[Entry]:
    """What people changed of the device and its credentials, from the audit log."""
    rows = list_edits_of(device).filter(at__lt=before)[:limit]
    return [
        {
            "at": told.entry.at,
            "kind": "registry",
            "title": _edit(told),
            "cause": "",
            "actor": told.entry.actor or told.entry.door,
            "detail": {
                "kind": told.entry.kind,
                "action": told.entry.action,
                "before": told.before,
                "after": told.after,
            },
        }
        for told in tell(rows)
    ]


def _edit(told: Told) -> str:
    """Say what was changed: of the device itself, by its columns."""
    what, action = told.entry.kind.replace("_", " "), told.entry.action
    if told.entry.kind != "device":
        return f"{what} {action}"
    columns = ", ".join(name.replace("_", " ") for name in told.after or {})
    return f"{columns} {action}"


def _command_entries(device: Device, before: datetime, limit: int) -> list[Entry]:
    events = (
        CommandEvent.objects.filter(
            device=device, tenant=device.tenant_id, at__lt=before
        )
        .select_related("command")
        .order_by("-at", "-pk")[:limit]
    )
    return [
        {
            "at": event.at,
            "kind": "command",
            "title": f"{event.command.name}: {event.get_status_display()}",
            "cause": event.cause,
            "actor": event.actor,
            "detail": {
                "command": str(event.command.public_id),
                "name": event.command.name,
                "status": event.status,
                **(event.detail or {}),
            },
        }
        for event in events
    ]
