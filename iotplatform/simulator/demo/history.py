"""Giving the demo fleet its last three days, and topping them up at every start."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Max

from iotplatform.simulator.demo.connectivity_history import (
    SPAN,
    Change,
    changes_of,
    drops_of,
)
from iotplatform.simulator.demo.fleet import DemoDevice
from registry.choices import Lifecycle
from registry.models import Device
from state.choices import Cause, Connectivity
from state.models import Presence
from state.services.presence.backfill import PastTransition, backfill_history

BATCH = 5_000
# Shorter gaps are left as they are: a restart is no history.
SHORTEST_GAP = timedelta(minutes=15)


def last_heard_at() -> datetime | None:
    """Return when the platform last heard any device at all."""
    newest: datetime | None = Presence.objects.aggregate(at=Max("last_seen_at"))["at"]
    return newest


def load_past(
    devices: Iterable[DemoDevice],
    *,
    new: set[str],
    heard_at: datetime | None,
    now: datetime,
) -> int:
    """Load the history that is missing; return the number of transitions.

    New devices get three days. The others get the time since the platform was last
    listening: what happened while it did is on record.
    """
    changes: list[Change] = []
    total = 0
    for device in devices:
        if device.lifecycle not in (Lifecycle.ACTIVE, Lifecycle.IN_REPAIR):
            continue
        since = now - SPAN
        if device.uid not in new and heard_at is not None:
            since = max(since, heard_at)
        if now - since < SHORTEST_GAP:
            continue
        changes += _changes(device, since, now)
        if len(changes) >= BATCH:
            total += _write(changes, now)
            changes = []
    return total + _write(changes, now)


def _changes(device: DemoDevice, since: datetime, now: datetime) -> list[Change]:
    """From coming online to the goodbye of this moment: the simulator takes over."""
    start = since + timedelta(seconds=1)
    drops = drops_of(
        device.uid,
        device.odd_slot_chance,
        is_troubled=device.is_troubled,
        since=start,
        until=now,
    )
    leaving = Change(
        device.uid,
        now,
        Connectivity.ONLINE.value,
        Connectivity.OFFLINE.value,
        Cause.GOODBYE.value,
    )
    return [*changes_of(device.uid, drops, joined_at=start), leaving]


def _write(changes: list[Change], now: datetime) -> int:
    uids = {change.uid for change in changes}
    ids = dict(Device.objects.filter(uid__in=uids).values_list("uid", "pk"))
    backfill_history(
        [
            PastTransition(ids[c.uid], c.at, c.moved_from, c.moved_to, c.cause)
            for c in changes
            if c.uid in ids
        ],
        now=now,
    )
    return len(changes)
