"""The device timeline: one list of everything that happened, as sentences."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from django.urls import reverse
from django.utils import timezone

from commands.choices import CommandStatus
from commands.lifecycle import is_verdict
from commands.selectors.timeline import get_merged_timeline
from console.presenters.delivery_track import EVENT_LABELS
from console.presenters.labels import cause_label

if TYPE_CHECKING:
    from registry.models import Device

PAGE_SIZE = 40
MAX_KEYS = 5  # keys of one change that an entry shows
MAX_VALUE_LENGTH = 40
_GOOD = (CommandStatus.RECEIVED, CommandStatus.SUCCEEDED, CommandStatus.VERIFIED)
_BAD = (CommandStatus.FAILED, CommandStatus.TIMED_OUT, CommandStatus.EXPIRED)
_CONNECTIVITY_KINDS = {"online": "good", "offline": "bad", "stale": "odd"}


@dataclass(frozen=True)
class TimelineEntry:
    """One entry: when, what, and how it is known."""

    at: datetime
    time: str
    day: str  # the heading above the entry where a new day begins, else empty
    text: str
    kind: str
    tag: str
    rule: str = ""
    lead: str = ""  # the text of the link
    status: str = ""
    failure_class: str = ""
    url: str = ""


@dataclass(frozen=True)
class TimelinePage:
    """One page of the timeline, and the time where the next one begins."""

    entries: list[TimelineEntry]
    older_than: datetime | None


def get_device_timeline(
    device: Device, *, before: datetime, day: date | None = None
) -> TimelinePage:
    """Return the page before an instant; ``day`` has its heading already."""
    rows, older_than = get_merged_timeline(device, before=before, limit=PAGE_SIZE)
    entries = []
    for row in rows:
        at = timezone.localtime(row["at"])
        heading = "" if at.date() == day else _heading(at)
        day = at.date()
        fields = _describe(row)
        entries.append(
            TimelineEntry(at=at, time=f"{at:%H:%M:%S}", day=heading, **fields)
        )
    return TimelinePage(entries, older_than)


def _heading(at: datetime) -> str:
    days = (timezone.localdate() - at.date()).days
    if days in (0, 1):
        return ("Today", "Yesterday")[days]
    year = "" if at.year == timezone.localdate().year else f" {at.year}"
    return f"{at:%A %-d %B}{year}"


def _describe(entry: dict[str, Any]) -> dict[str, Any]:
    """Return text, kind and tag of an entry, by what the entry is about."""
    kind, detail = entry["kind"], entry.get("detail") or {}
    if kind == "command":
        return _describe_command(entry, detail)
    if kind == "connectivity":
        return _describe_connectivity(entry, detail)
    text = entry["title"]
    if kind == "lifecycle":
        by = f" by {entry['actor']}" if entry.get("actor") else ""
        reason = f": {entry['cause']}" if entry.get("cause") else ""
        text = f"lifecycle {text.replace('_', ' ')}{by}{reason}"
        return {"text": text, "kind": "ours", "tag": "fact"}
    if kind in ("desired", "reported"):
        return _describe_twin_change(kind, detail)
    if kind == "registry":
        by = f" by {entry['actor']}" if entry.get("actor") else ""
        return {"text": f"{text}{by}", "kind": "ours", "tag": "fact"}
    if kind == "maintenance":
        by = f", by {entry['actor']}" if entry["actor"] != "platform" else ""
        where = " at its site" if detail.get("site") else ""
        text = f"{text}{where}: {entry['cause']}{by}"
        return {"text": text, "kind": "ours", "tag": "fact"}
    if kind == "feedback":
        note = f": {entry['cause']}" if entry.get("cause") else ""
        by = f", reported by {entry['actor']}" if entry.get("actor") else ""
        return {"text": f"{text}{note}{by}", "kind": "ours", "tag": "fact"}
    severity = str(detail.get("severity", ""))
    bad = "bad" if severity == "critical" and "clear" not in text else ""
    cause = f": {entry['cause']}" if entry.get("cause") else ""
    actor = entry.get("actor")
    if actor == "device":
        return {"text": f"{text}{cause}", "kind": bad, "tag": "reported"}
    if actor != "platform":
        return {"text": f"{text}{cause}: {actor}", "kind": "ours", "tag": "fact"}
    rule = {"tag": "judged", "rule": "the alarm rules"}
    return {"text": f"{text}{cause}", "kind": bad, **rule}


def _describe_twin_change(kind: str, detail: dict[str, Any]) -> dict[str, Any]:
    """Describe a change of a twin document: its first keys with their values."""
    changes: dict[str, Any] = detail.get("changes") or {}
    parts = [_change(key, sides) for key, sides in list(changes.items())[:MAX_KEYS]]
    if more := len(changes) - len(parts):
        parts.append(f"{more} more")
    text = f"{kind} version {detail.get('version')}: {', '.join(parts)}"
    is_ours = kind == "desired"
    return {
        "text": text,
        "kind": "ours" if is_ours else "",
        "tag": "fact" if is_ours else "reported",
    }


def _change(key: str, sides: dict[str, Any]) -> str:
    if "to" not in sides:
        return f"{key} removed"
    to = _short(sides["to"])
    return f"{key} {_short(sides['from'])} → {to}" if "from" in sides else f"{key} {to}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[:MAX_VALUE_LENGTH]}…"


def _describe_command(entry: dict[str, Any], detail: dict[str, Any]) -> dict[str, Any]:
    status = str(detail.get("status", ""))
    failure = str(detail.get("failure_class") or "")
    name, actor = detail.get("name", ""), entry.get("actor") or ""
    is_person = actor not in ("device", "platform", "")
    text = EVENT_LABELS.get(status, status)
    if cause := entry.get("cause"):
        text += f": {cause}"
    if is_person:
        text += f", by {actor}"
    kind = "ours" if is_person else ""
    if status in _GOOD:
        kind = "good"
    elif status in _BAD:
        kind = "bad"
    elif status == CommandStatus.UNKNOWN:
        kind = "odd"
    return {
        "lead": name,
        "text": text,
        "kind": kind,
        "tag": _tag(actor, status, failure),
        "rule": "the command plane",
        "status": status,
        "failure_class": failure,
        "url": reverse("console:command", args=[detail["command"]]),
    }


def _tag(actor: str, status: str, failure: str) -> str:
    """Reported by the device, or judged by us; what we did ourselves needs no tag."""
    if actor == "device":
        return "reported"
    return "judged" if is_verdict(status, failure) else ""


def _describe_connectivity(
    entry: dict[str, Any], detail: dict[str, Any]
) -> dict[str, Any]:
    moved_to = str(detail.get("to") or entry["title"].rsplit(" ", 1)[-1])
    cause = cause_label(entry.get("cause"))
    text = f"{moved_to}: {cause}" if cause else moved_to
    if session := detail.get("session"):
        text += f", session {session[:8]}"
    return {
        "text": text,
        "kind": _CONNECTIVITY_KINDS.get(moved_to, ""),
        "tag": "judged",
        "rule": "the connectivity rules",
    }
