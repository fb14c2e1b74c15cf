"""Which of a device's events are news, by its own count: late ones say nothing of now.

An event that was overtaken, spooled or delivered again must neither open again what a
later one has cleared, nor clear what a later one has raised.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

import msgspec

from iotplatform.common import bulk_sql

if TYPE_CHECKING:
    from iotplatform.common.messages import Event
    from state.services.arrivals import Arrival

Place = tuple[int, int]  # boot, and seq within it
Words = dict[str, Place]  # of one device, by code

# Far more than a device of ours has codes; of one that makes them up, the oldest go.
CODES_KEPT = 256

# The presence rows are locked, so nobody else writes for these devices meanwhile.
_READ = "SELECT device_id, words::text FROM state_eventorder WHERE device_id = ANY(%s)"
_WRITE = """
    INSERT INTO state_eventorder (device_id, tenant_id, words)
    SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[]::jsonb[])
    ON CONFLICT (device_id) DO UPDATE SET words = excluded.words
"""
_decoder = msgspec.json.Decoder(Words)


def take_in_order(events: Sequence[Arrival]) -> list[Arrival]:
    """Return the events that are not late, and note the newest of each code.

    One read and one write a batch. Without boot and seq the order is that of arrival.
    """
    counted = {a.device.id: a.device for a in events if _place(a) is not None}
    if not counted:
        return list(events)
    known: dict[int, Words] = defaultdict(dict)
    for device_id, text in bulk_sql.fetch(_READ, [sorted(counted)]):
        known[device_id] = _decoder.decode(text)
    moved: set[int] = set()
    news = []
    for arrival in events:
        place, device_id = _place(arrival), arrival.device.id
        if place is not None:
            words, code = known[device_id], cast("Event", arrival.uplink.message).code
            if code in words and words[code] >= place:
                continue
            words[code] = place
            moved.add(device_id)
            if len(words) > CODES_KEPT:
                del words[min(words, key=words.__getitem__)]
        news.append(arrival)
    rows = [
        (pk, counted[pk].tenant_id, msgspec.json.encode(known[pk]).decode())
        for pk in sorted(moved)
    ]
    if rows:
        bulk_sql.run(_WRITE, bulk_sql.columns_of(rows, 3))
    return news


def _place(arrival: Arrival) -> Place | None:
    """Return its place in the device's own count, where it says both numbers."""
    message = arrival.uplink.message
    if message.boot is None or message.seq is None:
        return None
    return message.boot, message.seq
