"""One merged timeline of a device: its registry changes, state and commands."""

from __future__ import annotations

from datetime import datetime
from itertools import chain
from operator import itemgetter
from typing import Any

from commands.models import CommandEvent
from registry.models import Device
from registry.selectors.audit import NamedEntry, list_edits_of, name_keys
from registry.selectors.devices import list_moves
from state.selectors import timeline_entries

Entry = dict[str, Any]


def get_merged_timeline(
    device: Device, *, before: datetime, limit: int
) -> tuple[list[Entry], datetime | None]:
    """Return the entries before an instant, newest first, and the next page's start.

    Entries of the same instant are never split between two pages.
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
        # A source that was cut at the page's last instant may have more entries of it.
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
    """Return what people changed about the device and its credentials (audit log)."""
    rows = list_edits_of(device).filter(at__lt=before)[:limit]
    return [
        {
            "at": edit.entry.at,
            "kind": "registry",
            "title": _edit_title(edit),
            "cause": "",
            "actor": edit.entry.actor or edit.entry.door,
            "detail": {
                "kind": edit.entry.kind,
                "action": edit.entry.action,
                "before": edit.before,
                "after": edit.after,
            },
        }
        for edit in name_keys(rows)
    ]


def _edit_title(edit: NamedEntry) -> str:
    """Return what was changed; for the device itself, the names of the columns."""
    what, action = edit.entry.kind.replace("_", " "), edit.entry.action
    if edit.entry.kind != "device":
        return f"{what} {action}"
    columns = ", ".join(name.replace("_", " ") for name in edit.after or {})
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
