"""The device's one timeline, as lines that a person reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from django.urls import reverse
from django.utils import timezone

from commands.choices import CommandStatus
from commands.lifecycle import is_verdict
from commands.selectors.timeline import merged_timeline
from console.presenters.delivery_track import EVENT_WORDS
from console.presenters.labels import cause_in_words

if TYPE_CHECKING:
    from registry.models import Device

PAGE = 40
MOST_KEYS = 5  # of a change that a line tells
LONGEST_VALUE = 40
_GOOD = (CommandStatus.RECEIVED, CommandStatus.SUCCEEDED, CommandStatus.VERIFIED)
_BAD = (CommandStatus.FAILED, CommandStatus.TIMED_OUT, CommandStatus.EXPIRED)
_CONNECTIVITY_KINDS = {"online": "good", "offline": "bad", "stale": "odd"}


@dataclass(frozen=True)
class Line:
    """One entry: when, what, how we know it."""

    at: datetime
    time: str
    day: str  # the heading before it, where a new day begins
    words: str
    kind: str
    tag: str
    rule: str = ""
    lead: str = ""  # what the address opens
    status: str = ""
    failure_class: str = ""
    url: str = ""


@dataclass(frozen=True)
class Story:
    """One page of the timeline, and where the next begins."""

    lines: list[Line]
    older_than: datetime | None


def get_story(device: Device, *, before: datetime, day: date | None = None) -> Story:
    """Return a page before an instant; ``day`` is the heading that stands already."""
    entries, older_than = merged_timeline(device, before=before, limit=PAGE)
    lines = []
    for entry in entries:
        at = timezone.localtime(entry["at"])
        heading = "" if at.date() == day else _heading(at)
        day = at.date()
        lines.append(
            Line(at=at, time=f"{at:%H:%M:%S}", day=heading, **_said(entry, at))
        )
    return Story(lines, older_than)


def _heading(at: datetime) -> str:
    days = (timezone.localdate() - at.date()).days
    if days in (0, 1):
        return ("Today", "Yesterday")[days]
    return f"{at:%A %-d %B}"


def _said(entry: dict[str, Any], at: datetime) -> dict[str, Any]:
    """One entry in words, by what it is about."""
    kind, detail = entry["kind"], entry.get("detail") or {}
    if kind == "command":
        return _of_command(entry, detail)
    if kind == "connectivity":
        return _of_connectivity(entry, detail)
    words = entry["title"]
    if kind == "lifecycle":
        by = f" by {entry['actor']}" if entry.get("actor") else ""
        reason = f": {entry['cause']}" if entry.get("cause") else ""
        words = f"lifecycle {words.replace('_', ' ')}{by}{reason}"
        return {"words": words, "kind": "ours", "tag": "fact"}
    if kind in ("desired", "reported"):
        return _of_twin(kind, detail)
    if kind == "registry":
        by = f" by {entry['actor']}" if entry.get("actor") else ""
        return {"words": f"{words}{by}", "kind": "ours", "tag": "fact"}
    if kind == "maintenance":
        by = f", by {entry['actor']}" if entry["actor"] != "platform" else ""
        where = " at its site" if detail.get("site") else ""
        words = f"{words}{where}: {entry['cause']}{by}"
        return {"words": words, "kind": "ours", "tag": "fact"}
    if kind == "feedback":
        note = f": {entry['cause']}" if entry.get("cause") else ""
        by = f", told by {entry['actor']}" if entry.get("actor") else ""
        return {"words": f"{words}{note}{by}", "kind": "ours", "tag": "fact"}
    severity = str(detail.get("severity", ""))
    bad = "bad" if severity == "critical" and "clear" not in words else ""
    cause = f": {entry['cause']}" if entry.get("cause") else ""
    actor = entry.get("actor")
    if actor == "device":
        return {"words": f"{words}{cause}", "kind": bad, "tag": "reported"}
    if actor != "platform":
        return {"words": f"{words}{cause}: {actor}", "kind": "ours", "tag": "fact"}
    rule = {"tag": "judged", "rule": "the alarm rules"}
    return {"words": f"{words}{cause}", "kind": bad, **rule}


def _of_twin(kind: str, detail: dict[str, Any]) -> dict[str, Any]:
    """What changed in one of the documents, the first keys with their values."""
    changes: dict[str, Any] = detail.get("changes") or {}
    said = [_change(key, sides) for key, sides in list(changes.items())[:MOST_KEYS]]
    if more := len(changes) - len(said):
        said.append(f"{more} more")
    words = f"{kind} version {detail.get('version')}: {', '.join(said)}"
    is_ours = kind == "desired"
    return {
        "words": words,
        "kind": "ours" if is_ours else "",
        "tag": "fact" if is_ours else "reported",
    }


def _change(key: str, sides: dict[str, Any]) -> str:
    if "to" not in sides:
        return f"{key} is gone"
    to = _short(sides["to"])
    return f"{key} {_short(sides['from'])} → {to}" if "from" in sides else f"{key} {to}"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"


def _of_command(entry: dict[str, Any], detail: dict[str, Any]) -> dict[str, Any]:
    status = str(detail.get("status", ""))
    failure = str(detail.get("failure_class") or "")
    name, actor = detail.get("name", ""), entry.get("actor") or ""
    is_person = actor not in ("device", "platform", "")
    words = EVENT_WORDS.get(status, status)
    if cause := entry.get("cause"):
        words += f": {cause}"
    if is_person:
        words += f", by {actor}"
    kind = "ours" if is_person else ""
    if status in _GOOD:
        kind = "good"
    elif status in _BAD:
        kind = "bad"
    elif status == CommandStatus.UNKNOWN:
        kind = "odd"
    return {
        "lead": name,
        "words": words,
        "kind": kind,
        "tag": _tag(actor, status, failure),
        "rule": "the command plane",
        "status": status,
        "failure_class": failure,
        "url": reverse("console:command", args=[detail["command"]]),
    }


def _tag(actor: str, status: str, failure: str) -> str:
    """Said by the device; or a verdict of ours. What we did ourselves needs no tag."""
    if actor == "device":
        return "reported"
    return "judged" if is_verdict(status, failure) else ""


def _of_connectivity(entry: dict[str, Any], detail: dict[str, Any]) -> dict[str, Any]:
    moved_to = str(detail.get("to") or entry["title"].rsplit(" ", 1)[-1])
    cause = cause_in_words(entry.get("cause"))
    words = f"{moved_to}: {cause}" if cause else moved_to
    if session := detail.get("session"):
        words += f", session {session[:8]}"
    return {
        "words": words,
        "kind": _CONNECTIVITY_KINDS.get(moved_to, ""),
        "tag": "judged",
        "rule": "the connectivity rules",
    }
