"""The text of a message to people: of one incident, or of several as a digest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.urls import reverse

from console.choices import IncidentCause, IncidentStatus
from console.models import Notification

LONGEST_TITLE = 200
# A digest names so many incidents, and counts the others.
MOST_LINES = 30


@dataclass(frozen=True)
class Text:
    """What a person reads."""

    title: str
    body: str
    message_id: str  # the same at every try


def text_of(rows: Sequence[Notification]) -> Text:
    """Return the message of these rows, all of one tenant and one target."""
    first = rows[0]
    assert first.event is not None  # every message of a rule has one
    key = str(first.event.public_id)
    if len(rows) == 1:
        title, body = _one(first)
    else:
        title = f"{len(rows)} notifications"
        lines = [f"- {_line(row)}" for row in rows[:MOST_LINES]]
        if len(rows) > MOST_LINES:
            lines.append(f"and {len(rows) - MOST_LINES} more")
        body = "\n".join(lines)
        if settings.CONSOLE_URL:
            body += f"\n\n{settings.CONSOLE_URL}{reverse('console:incidents')}"
    return Text(_on_one_line(f"[{first.tenant.slug}] {title}"), body, key)


def _one(row: Notification) -> tuple[str, str]:
    assert row.event is not None
    data = row.event.data
    if row.incident is None:
        return data["text"], f"{data['text']}\nNotification rule: {data['rule']}"
    opened = datetime.fromisoformat(data["opened_at"])
    lines = [
        _line(row),
        "",
        f"Opened: {opened:%Y-%m-%d %H:%M} UTC",
        f"Cause: {IncidentCause(data['cause']).label}",
        f"Devices: {data['devices']:,}",
        f"Notification rule: {data['rule']}, target {data['step']}",
    ]
    if settings.CONSOLE_URL:
        page = reverse("console:incident", args=[row.incident.public_id])
        lines += ["", f"{settings.CONSOLE_URL}{page}"]
    return _headline(row), "\n".join(lines)


def _headline(row: Notification) -> str:
    assert row.event is not None
    data = row.event.data
    return f"{data['severity']}: #{data['number']} {data['title']}"


def _line(row: Notification) -> str:
    assert row.event is not None
    if row.incident is None:
        return str(row.event.data["text"])
    # It may have waited for the end of quiet hours, or for its target.
    since = row.incident.status
    known = since in (IncidentStatus.RESOLVED, IncidentStatus.ACKNOWLEDGED)
    return " ".join(_headline(row).split()) + (f" ({since} meanwhile)" if known else "")


def _on_one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_TITLE else line[: LONGEST_TITLE - 1] + "…"
