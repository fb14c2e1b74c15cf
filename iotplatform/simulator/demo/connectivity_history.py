"""The connectivity history of the demo fleet: plausible, and the same every time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from random import Random

from state.choices import Cause, Connectivity

SPAN = timedelta(days=3)
SLOTS_A_DAY = 4
SLOT_SECONDS = 86_400 // SLOTS_A_DAY
# Of a slot, so that a disconnect and the return from it lie in the same one.
LONGEST_ABSENCE_SECONDS = 1_800


@dataclass(frozen=True)
class Drop:
    """One abnormal disconnect and the return from it."""

    left_at: datetime
    back_at: datetime
    cause: str


def drops_of(
    uid: str,
    odd_slot_chance: float,
    *,
    is_troubled: bool,
    since: datetime,
    until: datetime,
) -> Iterator[Drop]:
    """Yield the disconnects of a device that lie wholly between two times.

    Each quarter of a day (UTC) has at most one, drawn from the uid and the day: a later
    start goes on where an earlier one ended, whatever the two have in common.
    """
    first = int(since.timestamp()) // SLOT_SECONDS
    last = int(until.timestamp()) // SLOT_SECONDS
    for day in range(first // SLOTS_A_DAY, last // SLOTS_A_DAY + 1):
        for slot in _slots_with_a_drop(uid, day, odd_slot_chance, is_troubled):
            drop = _drop(uid, slot)
            if drop.left_at > since and drop.back_at < until:
                yield drop


def _slots_with_a_drop(
    uid: str, day: int, odd_slot_chance: float, is_troubled: bool
) -> Iterator[int]:
    """Yield the slots of a day that have a disconnect.

    One slot of the four may be odd. A troubled device is quiet only there: any 72 hours
    hold at least seven of its disconnects. The others have one only there: 72 hours
    touch four days, so they stay below the five that count as trouble.
    """
    share = _share(f"past:{uid}:{day}")
    odd = int(share / odd_slot_chance * SLOTS_A_DAY) if share < odd_slot_chance else -1
    for number in range(SLOTS_A_DAY):
        if (number == odd) != is_troubled:
            yield day * SLOTS_A_DAY + number


def _drop(uid: str, slot: int) -> Drop:
    draw = Random(f"past:{uid}:{slot}")
    within = draw.uniform(0, SLOT_SECONDS - LONGEST_ABSENCE_SECONDS - 1)
    left_at = datetime.fromtimestamp(slot * SLOT_SECONDS + within, tz=UTC)
    absence = timedelta(seconds=draw.uniform(40, LONGEST_ABSENCE_SECONDS))
    is_silent = draw.random() < 0.3
    cause = Cause.MISSED_HEARTBEATS if is_silent else Cause.LAST_WILL
    return Drop(left_at, left_at + absence, cause)


def _share(key: str) -> float:
    """A number from 0 to 1, cheaper than seeding a generator for it."""
    digest = blake2b(key.encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


@dataclass(frozen=True)
class Change:
    """One transition of a device of the demo fleet."""

    at: datetime
    moved_from: str
    moved_to: str
    cause: str


def changes_of(drops: Iterable[Drop]) -> list[Change]:
    """Return the transitions that these disconnects mean, the oldest first."""
    offline, online = Connectivity.OFFLINE.value, Connectivity.ONLINE.value
    changes = []
    for drop in drops:
        changes.append(Change(drop.left_at, online, offline, drop.cause))
        changes.append(Change(drop.back_at, offline, online, ""))
    return changes
