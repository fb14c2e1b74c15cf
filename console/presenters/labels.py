"""Labels for the codes of other apps: a page never shows a bare code alone."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from state.choices import ReplayOutcome

CAUSE_LABELS = {
    "never_connected": "never connected",
    "sleeping": "asleep, as announced",
    "platform_blind": "the platform was not listening",
    "gateway_offline": "gateway offline",
    "invalid_messages": "only invalid messages",
    "last_will": "last will",
    "goodbye": "signed off",
    "missed_heartbeats": "missed heartbeats",
    "missed_heartbeat": "silent for 2 intervals",
    "will_without_session": "last will without a session",
    "birth": "connected",
    "message": "message received",
}
# Why a message was rejected.
DEAD_LETTER_LABELS = {
    "unknown_device": "The device is not registered.",
    "lifecycle": "The device is retired or replaced.",
    "gateway_mismatch": "The child device belongs to another gateway.",
    "unknown_command": "It answers a command that was not sent to this device.",
    "bad_topic": "The topic is not part of the protocol.",
    "too_large": "The message is larger than 64 KiB.",
    "empty": "The message is empty.",
    "bad_json": "The message is not valid JSON.",
    "bad_message": "The message is JSON but does not follow the protocol.",
    "bad_metrics": "Some metrics or readings cannot be used; the others were accepted.",
    "refused": "The message is valid but could not be stored.",
}
# What came of replaying a rejected message.
REPLAY_LABELS: dict[str, str] = {
    ReplayOutcome.TAKEN: "accepted",
    ReplayOutcome.REPEATED: "already known",
    ReplayOutcome.OUTDATED: "outdated",
    ReplayOutcome.REFUSED: "rejected again",
}
# What a parser calls a type → what a person calls it.
TYPE_WORDS = {
    "float": "a number",
    "int": "a whole number",
    "str": "a text",
    "bool": "true or false",
    "null": "nothing",
    "object": "an object",
    "array": "a list",
}
# How a person made a change: where the request came in.
ENTRY_POINT_LABELS = {
    "console": "in the console",
    "rest": "with the API",
    "admin": "in the administration",
    "command": "on the server",
}
FAILURE_ACTIONS = {
    "retry_now": "sent again immediately",
    "retry_later": "sent again later",
    "escalate": "given to a person",
    "none": "nothing",
}
CONNECTIVITY_HELP = {
    "online": "a message came within the interval",
    "suspect": "no message for two intervals",
    "offline": "disconnected, for a known cause",
    "stale": "unknown: the information is too old",
}
CHIP_HELP = {"never connected": "registered, but no message has come yet"}


def cause_label(code: str | None) -> str:
    """Return a cause as words; an unknown code without its underscores."""
    if not code:
        return ""
    return CAUSE_LABELS.get(code, code.replace("_", " "))


def one_line(value: Any) -> str:
    """Return a value of a document as words; text that looks like JSON keeps quotes."""
    if value is None or value == "":
        return "(none)" if value is None else "(empty)"
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value) or "(empty)"
    if isinstance(value, str) and value == value.strip():
        try:
            json.loads(value)
        except ValueError:
            return value
    return json.dumps(value, ensure_ascii=False)


def plain_error(text: str) -> str:
    """Return what a parser found wrong, in words instead of its types."""
    for name, words in TYPE_WORDS.items():
        text = text.replace(f"`{name}`", words)
    return text


def duration(span: timedelta | float | int | None) -> str:
    """Return a duration in its largest useful unit: 4 min, 2 h, 3 d."""
    if span is None:
        return "\N{EN DASH}"
    seconds = span.total_seconds() if isinstance(span, timedelta) else float(span)
    seconds = max(0.0, seconds)
    if seconds < 9.95 and not isinstance(span, int):
        return f"{seconds:.1f} s"
    for limit, size, unit in ((90, 1, "s"), (5400, 60, "min"), (129_600, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} d"


def ago(at: datetime | str | None) -> str:
    """Return how long ago a time was, without the word "ago"; text is RFC 3339."""
    moment = moment_of(at)
    if moment is None:
        return "never"
    span = timezone.now() - moment
    if timedelta(0) <= span < timedelta(seconds=2):
        return "just now"
    return duration(span)


def since(at: datetime | str | None) -> str:
    """Return for how long something has lasted: "for 4 min", or "just now"."""
    span = ago(at)
    return span if span == "just now" else f"for {span}"


def moment_of(at: datetime | str | None) -> datetime | None:
    """Return a time as an aware datetime; index documents hold it as text, in UTC."""
    if isinstance(at, str):
        try:
            at = datetime.fromisoformat(at)
        except ValueError:
            return None
    if at is not None and at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return at


def clock(at: datetime | str | None) -> str:
    """Return a short time in the reader's zone.

    Today the hour, for six days the weekday, then the date, with the year if it is
    another one.
    """
    moment = moment_of(at)
    if moment is None:
        return "\N{EN DASH}"
    moment = timezone.localtime(moment)
    today = timezone.localdate()
    days = (today - moment.date()).days
    if days == 0:
        return f"{moment:%H:%M:%S}"
    if 0 < days < 6:
        return f"{moment:%a %H:%M}"
    year = "" if moment.year == today.year else f" {moment.year}"
    return f"{moment:%-d %b}{year} {moment:%H:%M}"


def full_time(at: datetime | str | None) -> str:
    """Return the whole instant for a tooltip: in the reader's zone, and in UTC."""
    moment = moment_of(at)
    if moment is None:
        return ""
    here, there = timezone.localtime(moment), moment.astimezone(UTC)
    if here.utcoffset() == timedelta(0):
        return f"{there:%a %-d %B %Y, %H:%M:%S} UTC"
    there_day = "" if here.date() == there.date() else f"{there:%-d %b} "
    zone = timezone.get_current_timezone_name()
    return f"{here:%a %-d %B %Y, %H:%M:%S} {zone}, {there_day}{there:%H:%M:%S} UTC"


def time_element(
    at: datetime | str | None, text: str = "", css: str = ""
) -> SafeString:
    """Draw a time: short, with the whole instant on hover and for programs."""
    moment = moment_of(at)
    if moment is None:
        return SafeString("\N{EN DASH}")
    return format_html(
        '<time{} datetime="{}" title="{}">{}</time>',
        format_html(' class="{}"', css) if css else "",
        iso(moment),
        full_time(moment),
        text or clock(moment),
    )


def iso(at: datetime | str | None) -> str:
    """Return an instant as RFC 3339, in UTC."""
    moment = moment_of(at)
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else ""


def zone_label() -> str:
    """Return the reader's zone: "Asia/Shanghai (UTC+08:00)"."""
    name = timezone.get_current_timezone_name()
    offset = timezone.localtime().isoformat()[-6:]
    return name if name == "UTC" else f"{name} (UTC{offset})"


def dead_letter_label(code: str) -> str:
    """Return why a message was rejected; an unknown code without underscores."""
    return DEAD_LETTER_LABELS.get(code, code.replace("_", " "))
