"""Who may write and read which topic: one table for access files and HTTP answers."""

from __future__ import annotations

import re

from iotplatform.common.topics import UPLINK

UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
PLATFORM_MARK = "@"  # begins the platform's own names, which no uid can
LONGEST_TOPIC_BYTES = 65_535
TREES = ("iot/v1/%u", "iot/v1/%u/child/+")  # a device's own, and its children's
# What a device may, with its name in the place of %u: (access, filter).
DEVICE_RULES = (
    *(("write", f"{tree}/{topic}") for tree in TREES for topic in UPLINK),
    *(("read", f"{tree}/down/#") for tree in TREES),
)
PLATFORM_RULES = (("readwrite", "iot/v1/#"), ("read", "$SYS/#"))


def matches(pattern: list[str], topic: list[str]) -> bool:
    """Whether a topic filter covers a topic, level by level."""
    for position, level in enumerate(pattern):
        if level == "#":
            return True
        if position >= len(topic) or level not in ("+", topic[position]):
            return False
    return len(pattern) == len(topic)


def covers(pattern: list[str], wanted: list[str]) -> bool:
    """Whether a filter covers all that another filter could ever match."""
    for position, level in enumerate(pattern):
        if level == "#":
            return True
        if position >= len(wanted) or wanted[position] == "#":
            return False
        if level not in ("+", wanted[position]):
            return False
    return len(pattern) == len(wanted)


def may_write(user: str, topic: str) -> bool:
    """Whether the user may publish there; a will is a publish like any other."""
    if not _is_topic(topic) or "+" in topic or "#" in topic:
        return False
    wanted = topic.split("/")
    return any(matches(rule, wanted) for rule in _filters(user, "write"))


def may_read(user: str, topic: str) -> bool:
    """Whether a message on this topic may be delivered to the user."""
    if not _is_topic(topic):
        return False
    wanted = topic.split("/")
    return any(matches(rule, wanted) for rule in _filters(user, "read"))


def may_subscribe(user: str, topic_filter: str) -> bool:
    """Whether the filter matches nothing that the user may not read.

    A shared subscription is the platform's way to divide its work, no device's.
    """
    if user.startswith(PLATFORM_MARK) and topic_filter.startswith("$share/"):
        topic_filter = topic_filter.split("/", 2)[-1]
    if not _is_topic(topic_filter):
        return False
    wanted = topic_filter.split("/")
    return any(covers(rule, wanted) for rule in _filters(user, "read"))


def device_acl() -> str:
    """The access file of the devices' listener: patterns, the same for all."""
    return "".join(f"pattern {access} {topic}\n" for access, topic in DEVICE_RULES)


def user_acl(user: str) -> str:
    """The lines of one user, where an access file names its users."""
    rules = _rules(user)
    lines = [f"topic {what} {topic.replace('%u', user)}\n" for what, topic in rules]
    return "".join([f"user {user}\n", *lines]) if rules else ""


def _rules(user: str) -> tuple[tuple[str, str], ...]:
    if user.startswith(PLATFORM_MARK):
        return PLATFORM_RULES
    return DEVICE_RULES if UID.fullmatch(user) else ()


def _filters(user: str, access: str) -> list[list[str]]:
    return [
        topic.replace("%u", user).split("/")
        for what, topic in _rules(user)
        if access in what
    ]


def _is_topic(text: str) -> bool:
    """Whether MQTT allows this as a topic or filter at all."""
    if not text or "\0" in text:
        return False
    try:
        return len(text.encode()) <= LONGEST_TOPIC_BYTES
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
