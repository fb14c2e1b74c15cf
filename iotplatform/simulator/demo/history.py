"""Giving the demo fleet its last three days, and topping them up at every start."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.db.models import Max

from iotplatform.simulator.demo.connectivity_history import (
    SPAN,
    Change,
    Drop,
    changes_of,
    drops_of,
)
from iotplatform.simulator.demo.fleet import BLOCK, DemoDevice
from iotplatform.simulator.demo.load import in_batches
from iotplatform.simulator.demo.replay import PastDevices, Said, hear
from iotplatform.simulator.demo.story import tell_story
from iotplatform.simulator.demo.telemetry_history import (
    SAMPLES,
    bucket_starts,
    day_curve,
    last_values,
    series_of,
)
from registry.choices import Lifecycle
from registry.models import Device
from state.choices import Cause, Connectivity
from state.models import Presence
from state.services.presence.backfill import PastTransition, backfill_history
from state.services.rescoring import rescore_devices
from state.services.telemetry_backfill import backfill_rollups

# Whole blocks, so that a gateway and its children have one past.
BATCH = 50 * BLOCK
# Shorter gaps are left as they are: a restart is no history.
SHORTEST_GAP = timedelta(minutes=15)
# Devices whose telemetry is kept: two thousand rows each would fill a disk for a fleet
# of a size that nobody looks at one by one.
MOST_MEASURED = 2_000
# What the charts of up to 24 hours show; longer ones show hours.
FINE_SPAN = timedelta(hours=26)
LAST_MEASURED = timedelta(minutes=20)
SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Past:
    """A device of the fleet, its key, and when it lost its connection."""

    device: DemoDevice
    pk: int
    drops: Sequence[Drop]


def last_heard_at() -> datetime | None:
    """Return when the platform last heard any device at all."""
    newest: datetime | None = Presence.objects.aggregate(at=Max("last_seen_at"))["at"]
    return newest


def load_past(
    devices: Iterable[DemoDevice], *, heard_at: datetime | None, now: datetime
) -> int:
    """Load the history that is missing; return the number of disconnects.

    Devices that were never heard live through three days. The others get the time since
    the platform was last listening: what happened while it did is on record. A batch is
    one transaction: a start that is killed leaves whole batches, and the next one goes
    on.
    """
    total = 0
    for batch in in_batches(devices, BATCH):
        with transaction.atomic():
            total += _load_batch(batch, heard_at, now)
    return total


def _load_batch(
    batch: Sequence[DemoDevice], heard_at: datetime | None, now: datetime
) -> int:
    rows = Device.objects.filter(
        uid__in=[device.uid for device in batch],
        lifecycle__in=[Lifecycle.ACTIVE, Lifecycle.IN_REPAIR],
    )
    ids = dict(rows.values_list("uid", "pk"))
    known = set(
        Presence.objects.filter(device__in=ids.values()).values_list("pk", flat=True)
    )
    there = [device for device in batch if device.uid in ids]
    fresh = [d for d in there if ids[d.uid] not in known]
    total = _live_through(_pasts(fresh, ids, now - SPAN, now), now)
    since = max(now - SPAN, heard_at) if heard_at else now
    if now - since < SHORTEST_GAP:
        return total
    others = [d for d in there if ids[d.uid] in known]
    return total + _top_up(_pasts(others, ids, since, now), since, now)


def _pasts(
    devices: Iterable[DemoDevice],
    ids: dict[str, int],
    since: datetime,
    until: datetime,
) -> list[Past]:
    start = since + SECOND
    return [
        Past(
            device,
            ids[device.uid],
            [
                *drops_of(
                    device.uid,
                    device.odd_slot_chance,
                    is_troubled=device.is_troubled,
                    since=start,
                    until=until,
                )
            ],
        )
        for device in devices
    ]


def _live_through(pasts: Sequence[Past], now: datetime) -> int:
    """Let devices connect, live for three days, and leave with a goodbye now.

    The simulator takes over from there.
    """
    if not pasts:
        return 0
    fleet = [past.device for past in pasts]
    speakers = PastDevices(
        {past.device.uid: past.pk for past in pasts},
        {device.uid: device.firmware for device in fleet},
    )
    start = now - SPAN + SECOND
    hear([_status(device, "online") for device in fleet], at=start)
    hear([speakers.report(d.uid, d.gateway_uid) for d in fleet], at=start + SECOND)
    _measure(pasts, now - SPAN, now)
    tell_story(fleet, speakers, now=now)
    _write([c for past in pasts for c in _changes(past)], now)
    at = now - LAST_MEASURED
    hear([_measured(device, at) for device in fleet], at=at)
    hear([_status(device, "goodbye") for device in reversed(fleet)], at=now)
    rescore_devices([past.pk for past in pasts], now=now)
    return sum(len(past.drops) for past in pasts)


def _top_up(pasts: Sequence[Past], since: datetime, now: datetime) -> int:
    """Add what happened while nobody listened, up to the goodbye of this moment."""
    online, offline = Connectivity.ONLINE.value, Connectivity.OFFLINE.value
    changes: list[tuple[int, Change]] = []
    for past in pasts:
        joined = Change(since + SECOND, offline, online, "")
        leaving = Change(now, online, offline, Cause.GOODBYE.value)
        own = [joined, *changes_of(past.drops), leaving]
        changes += [(past.pk, change) for change in own]
    _write(changes, now)
    _measure(pasts, since, now)
    return sum(len(past.drops) for past in pasts)


def _changes(past: Past) -> list[tuple[int, Change]]:
    return [(past.pk, change) for change in changes_of(past.drops)]


def _write(changes: Sequence[tuple[int, Change]], now: datetime) -> None:
    backfill_history(
        [
            PastTransition(pk, change.at, change.moved_from, change.moved_to, cause)
            for pk, change in changes
            for cause in [change.cause]
        ],
        now=now,
    )


def _measure(pasts: Sequence[Past], since: datetime, until: datetime) -> None:
    starts = bucket_starts(since, until)
    curve = day_curve(starts)
    backfill_rollups(
        [
            one
            for past in pasts
            if past.device.number < MOST_MEASURED
            for one in series_of(
                past.device, past.pk, drops=past.drops, starts=starts, curve=curve
            )
        ],
        first_at=datetime.fromtimestamp(starts.start, UTC),
        fine_from=until - FINE_SPAN,
        samples=SAMPLES,
    )


def _status(device: DemoDevice, status: str) -> Said:
    body = {"status": status, "session": f"past-{device.number}"}
    return Said(device.uid, "status", body, device.gateway_uid)


def _measured(device: DemoDevice, at: datetime) -> Said:
    body = {"metrics": last_values(device, at)}
    return Said(device.uid, "telemetry", body, device.gateway_uid)
