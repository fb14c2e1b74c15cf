"""One merged timeline of a device: its registry changes, state and commands."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from commands.models import CommandEvent
from registry.models import Device
from registry.selectors.audit import NamedEntry, list_edits_of, name_keys
from registry.selectors.devices import list_moves
from state.selectors import Stretch, timeline_entries
from state.selectors.timeline import Entry

MICROSECOND = timedelta(microseconds=1)  # what the database keeps of an instant


@dataclass(frozen=True)
class Place:
    """A place between two entries: behind the first ``count`` of an instant."""

    at: datetime
    count: int = 0

    @property
    def edge(self) -> datetime:
        return self.at + MICROSECOND


@dataclass(frozen=True)
class Page:
    """Entries, the newest first, and where they begin and end.

    ``start`` is None if nothing is known to be newer, ``end`` if nothing is older.
    """

    entries: list[Entry]
    start: Place | None
    end: Place | None


def get_timeline_page(
    device: Device, place: Place, *, limit: int, newer: bool = False
) -> Page:
    """Return the entries behind a place, or, if ``newer``, those in front of it."""
    if newer:
        front = _read(device, Stretch(place.edge, limit + 1, newer=True))
        front += _read(device, Stretch(place.edge, place.count))
        page = front[-limit:]
        return Page(page, _start(device, front, page, place), place)
    rest = _read(device, Stretch(place.edge, place.count + limit + 1))[place.count :]
    page = rest[:limit]
    if len(rest) <= limit:
        return Page(page, place, None)
    last = page[-1]["at"]
    count = sum(entry["at"] == last for entry in page)
    end = Place(last, count + (place.count if last == place.at else 0))
    return Page(page, place, end)


def _start(
    device: Device, front: list[Entry], page: list[Entry], end: Place
) -> Place | None:
    """Return where a page begins, of all that was read in front of its end."""
    if len(front) <= len(page):
        return None
    first = page[0]["at"]
    if first == end.at:
        return Place(first, end.count - len(page))
    count = sum(entry["at"] == first for entry in page)
    whole, _ = get_merged_timeline(device, before=first + MICROSECOND, limit=1)
    return Place(first, len(whole) - count)


def get_merged_timeline(
    device: Device, *, before: datetime, limit: int
) -> tuple[list[Entry], datetime | None]:
    """Return the entries before an instant, newest first, and the next page's start.

    Entries of the same instant are never split between two pages.
    """
    wanted = limit + 1
    while True:
        entries = _read(device, Stretch(before, wanted))
        if len(entries) <= limit:
            return entries, None
        last = entries[limit - 1]["at"]
        page = [entry for entry in entries if entry["at"] >= last]
        if len(page) < len(entries):
            return page, last
        if len(entries) < wanted:
            return page, None
        wanted *= 2


def _read(device: Device, stretch: Stretch) -> list[Entry]:
    """Return the entries of a stretch, of all sources in the same order."""
    if not stretch.limit:
        return []
    return stretch.merge(
        _lifecycle_entries(device, stretch),
        _registry_entries(device, stretch),
        timeline_entries(device, stretch),
        _command_entries(device, stretch),
    )


def _lifecycle_entries(device: Device, stretch: Stretch) -> list[Entry]:
    moves = stretch.read(list_moves(device))
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


def _registry_entries(device: Device, stretch: Stretch) -> list[Entry]:
    """Return what people changed about the device and its credentials (audit log)."""
    rows = stretch.read(list_edits_of(device))
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


def _command_entries(device: Device, stretch: Stretch) -> list[Entry]:
    own = CommandEvent.objects.filter(device=device, tenant=device.tenant_id)
    events = stretch.read(own.select_related("command"))
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
