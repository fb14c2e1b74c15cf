"""Who may write and read which topic, for the access files and the HTTP answers."""

from __future__ import annotations

from iotplatform.common.ids import UID
from iotplatform.common.topics import UPLINK

PLATFORM_MARK = "@"  # the platform's own users start with it; a uid cannot
LONGEST_TOPIC_BYTES = 65_535
TREES = ("iot/v1/%u", "iot/v1/%u/child/+")  # a device's own topics, and its children's
# The rights of a device, whose name replaces %u: (access, filter).
DEVICE_RULES = (
    *(("write", f"{tree}/{topic}") for tree in TREES for topic in UPLINK),
    *(("read", f"{tree}/down/#") for tree in TREES),
)
PLATFORM_RULES = (("readwrite", "iot/v1/#"), ("read", "$SYS/#"))


def matches(pattern: list[str], topic: list[str]) -> bool:
    """Whether a topic filter matches a topic."""
    for position, level in enumerate(pattern):
        if level == "#":
            return True
        if position >= len(topic) or level not in ("+", topic[position]):
            return False
    return len(pattern) == len(topic)


def covers(pattern: list[str], wanted: list[str]) -> bool:
    """Whether a filter matches every topic that another filter can match."""
    for position, level in enumerate(pattern):
        if level == "#":
            return True
        if position >= len(wanted) or wanted[position] == "#":
            return False
        if level not in ("+", wanted[position]):
            return False
    return len(pattern) == len(wanted)


def may_write(user: str, topic: str) -> bool:
    """Whether the user may publish to this topic, also by a last will."""
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
    """Whether the user may read every topic that the filter can match.

    Only the platform may use shared subscriptions, to divide its work.
    """
    if user.startswith(PLATFORM_MARK) and topic_filter.startswith("$share/"):
        topic_filter = topic_filter.split("/", 2)[-1]
    if not _is_topic(topic_filter):
        return False
    wanted = topic_filter.split("/")
    return any(covers(rule, wanted) for rule in _filters(user, "read"))


def device_acl() -> str:
    """The access file of the devices' listener: the same patterns for all devices."""
    return "".join(f"pattern {access} {topic}\n" for access, topic in DEVICE_RULES)


def user_acl(user: str) -> str:
    """The lines of one user in an access file that lists users."""
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
    """Whether MQTT allows this text as a topic or filter."""
    if not text or "\0" in text:
        return False
    try:
        return len(text.encode()) <= LONGEST_TOPIC_BYTES
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
