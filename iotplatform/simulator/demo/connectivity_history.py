"""The connectivity history of the demo fleet: plausible, and the same every time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from random import Random

from state.choices import Cause, Connectivity

SPAN = timedelta(days=3)
SLOT_SECONDS = 6 * 3_600


@dataclass(frozen=True)
class Drop:
    """One abnormal disconnect and the return from it."""

    left_at: datetime
    back_at: datetime
    cause: str


def drops_of(
    uid: str, chance: float, *, since: datetime, until: datetime
) -> Iterator[Drop]:
    """Yield the disconnects of a device that lie wholly between two times.

    Each six hours of the calendar have at most one, drawn from the uid and the slot: a
    later start goes on where an earlier one ended, whatever the two have in common.
    """
    first = int(since.timestamp()) // SLOT_SECONDS
    last = int(until.timestamp()) // SLOT_SECONDS
    for slot in range(first, last + 1):
        key = f"past:{uid}:{slot}"
        if _share(key) >= chance:
            continue
        draw = Random(key)
        start = slot * SLOT_SECONDS + draw.uniform(0, SLOT_SECONDS - 2_400)
        left_at = datetime.fromtimestamp(start, tz=UTC)
        back_at = left_at + timedelta(seconds=draw.uniform(40, 1_800))
        is_silent = draw.random() < 0.3
        cause = Cause.MISSED_HEARTBEATS if is_silent else Cause.LAST_WILL
        if left_at > since and back_at < until:
            yield Drop(left_at, back_at, cause)


def _share(key: str) -> float:
    """A number from 0 to 1, cheaper than seeding a generator for it."""
    digest = blake2b(key.encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


@dataclass(frozen=True)
class Change:
    """One transition of one device of the demo fleet."""

    uid: str
    at: datetime
    moved_from: str
    moved_to: str
    cause: str


def changes_of(
    uid: str, drops: Sequence[Drop], *, joined_at: datetime | None
) -> list[Change]:
    """Return the transitions that these disconnects mean, the oldest first."""
    offline, online = Connectivity.OFFLINE.value, Connectivity.ONLINE.value
    changes = []
    if joined_at is not None:
        changes.append(Change(uid, joined_at, offline, online, ""))
    for drop in drops:
        changes.append(Change(uid, drop.left_at, online, offline, drop.cause))
        changes.append(Change(uid, drop.back_at, offline, online, ""))
    return changes
