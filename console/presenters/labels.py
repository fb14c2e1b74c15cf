"""Codes of the lower apps as sentences: a bare code is never shown alone."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

CAUSES = {
    "never_connected": "never connected",
    "sleeping": "asleep, as it said",
    "platform_blind": "we were not listening",
    "gateway_offline": "gateway offline",
    "invalid_messages": "only invalid messages",
    "last_will": "last will",
    "goodbye": "said goodbye",
    "missed_heartbeats": "missed heartbeats",
    "missed_heartbeat": "silent for 2 intervals",
    "will_without_session": "last will without a session",
    "birth": "birth",
    "message": "heard from",
}
# Why a message could not be taken in.
REASONS = {
    "unknown_device": "names a device that we do not know",
    "lifecycle": "from a device that is retired or replaced",
    "gateway_mismatch": "relayed by a gateway that the child does not belong to",
    "unknown_command": "answers a command that we did not send to it",
    "bad_topic": "on a topic that the protocol does not know",
    "too_large": "larger than 64 KiB",
    "empty": "without a word in it",
    "bad_json": "is no JSON",
    "bad_message": "is JSON, and not what the protocol says",
    "refused": "reads well, and could not be stored",
}
ACTIONS = {
    "retry_now": "sent again at once",
    "retry_later": "sent again later",
    "escalate": "handed to a person",
    "none": "left as it is",
}
CONNECTIVITY_MEANS = {
    "online": "heard from within its interval",
    "suspect": "silent for two intervals",
    "offline": "gone, and we know why",
    "stale": "we cannot tell",
}


def cause_in_words(code: str | None) -> str:
    """Return a cause as words; an unknown one with its underscores taken out."""
    if not code:
        return ""
    return CAUSES.get(code, code.replace("_", " "))


def duration(span: timedelta | float | int | None) -> str:
    """Return a span as the one unit that matters: 4 min, 2 h, 3 d."""
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
    """Return how long ago, without the word "ago"; times may be RFC 3339 text."""
    moment = moment_of(at)
    if moment is None:
        return "never"
    span = timezone.now() - moment
    if timedelta(0) <= span < timedelta(seconds=2):
        return "just now"
    return duration(span)


def moment_of(at: datetime | str | None) -> datetime | None:
    """Return a time of a model or of an index document as an aware datetime."""
    if isinstance(at, str):
        try:
            at = datetime.fromisoformat(at)
        except ValueError:
            return None
    if at is not None and at.tzinfo is None:
        at = at.replace(tzinfo=timezone.get_current_timezone())
    return at


def clock(at: datetime | str | None) -> str:
    """Return the hour of today, the weekday within six days, else the date."""
    moment = moment_of(at)
    if moment is None:
        return "\N{EN DASH}"
    moment = timezone.localtime(moment)
    days = (timezone.localdate() - moment.date()).days
    if days == 0:
        return f"{moment:%H:%M:%S}"
    if 0 < days < 6:
        return f"{moment:%a %H:%M}"
    return f"{moment:%-d %b %H:%M}" if days < 300 else f"{moment:%-d %b %Y}"


def reason_in_words(code: str) -> str:
    """Return why a message was not taken, as words that follow "it"."""
    return REASONS.get(code, code.replace("_", " "))
