"""Filter out late events by the device's own count (boot, seq).

An event that was overtaken, buffered or delivered again must not raise what a newer one
has cleared, nor clear what a newer one has raised.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import msgspec

from iotplatform.common import bulk_sql
from state.models import EventOrder

if TYPE_CHECKING:
    from iotplatform.common.messages import Event
    from state.services.arrivals import Arrival

Place = tuple[int, int]  # boot, and seq within it
Newest = dict[str, Place]  # the newest event of one device, by code

# Far more codes than any device has; if a device invents codes, the oldest are dropped.
CODES_KEPT = 256

# The presence rows are locked, so no other process writes for these devices.
_READ = "SELECT device_id, words::text FROM state_eventorder WHERE device_id = ANY(%s)"
_WRITE = f"""
    {bulk_sql.insert_rows(EventOrder, "device_id", "tenant_id", "words")}
    ON CONFLICT (device_id) DO UPDATE SET words = excluded.words
"""
_decoder = msgspec.json.Decoder(Newest)


def accept_in_order(events: Sequence[Arrival]) -> list[Arrival]:
    """Return the events that are not late, and store the newest of each code.

    One read and one write a batch. Events without boot and seq are never late.
    """
    counted = {a.device.id: a.device for a in events if _place(a) is not None}
    if not counted:
        return list(events)
    known: dict[int, Newest] = defaultdict(dict)
    for device_id, text in bulk_sql.fetch(_READ, [sorted(counted)]):
        known[device_id] = _decoder.decode(text)
    changed: set[int] = set()
    accepted = []
    for arrival in events:
        place, device_id = _place(arrival), arrival.device.id
        if place is not None:
            newest, code = known[device_id], cast("Event", arrival.uplink.message).code
            if code in newest and newest[code] >= place:
                continue
            newest[code] = place
            changed.add(device_id)
            if len(newest) > CODES_KEPT:
                del newest[min(newest, key=newest.__getitem__)]
        accepted.append(arrival)
    rows = [
        (pk, counted[pk].tenant_id, msgspec.json.encode(known[pk]).decode())
        for pk in sorted(changed)
    ]
    if rows:
        bulk_sql.run(_WRITE, bulk_sql.columns_of(rows, 3))
    return accepted


def _place(arrival: Arrival) -> Place | None:
    """Return the event's place in the device's count; None without both numbers."""
    message = arrival.uplink.message
    if message.boot is None or message.seq is None:
        return None
    return message.boot, message.seq
