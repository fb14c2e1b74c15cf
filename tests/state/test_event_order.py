"""A device's events give the same alarms in any order, by the device's own count."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commands.services.uplink import ingest_batch
from registry.models import Device
from state.models import Alarm, EventOrder, HeldAlarm
from state.services.alarms.closing import settle_across_tenants
from state.services.alarms.event_order import CODES_KEPT
from state.services.alarms.flapping import SETTLE_AFTER
from state.services.alarms.held_back import raise_held_back_across_tenants
from state.services.tenant_transfer import reset_for_new_tenant
from tests.factories import DeviceFactory
from tests.state.scene import SECOND, announce, arrive, say, t, uplink

pytestmark = pytest.mark.django_db
EXAMPLES, EXAMPLES_AT_FULL_SIZE = 60, 600


@dataclass(frozen=True)
class OrderedEvent:
    """One event, with its place in the device's count."""

    code: str
    state: str
    boot: int
    seq: int

    def body(self) -> dict[str, Any]:
        own = {"code": self.code, "state": self.state, "severity": "warning"}
        return {**own, "boot": self.boot, "seq": self.seq}


def send_event(device: Device, minute: float, state: str, **count: int) -> None:
    body = {"code": "hot", "severity": "warning", "state": state}
    say(device, "event", t(minute), **body, **count)


def open_codes(device: Device) -> set[str]:
    alarms = Alarm.objects.filter(device=device).exclude(state="cleared")
    return set(alarms.values_list("code", flat=True))


def test_a_raise_that_arrives_after_its_clear_opens_no_alarm() -> None:
    device = DeviceFactory.create()

    send_event(device, 0, "cleared", boot=1, seq=2)
    send_event(device, 1, "raised", boot=1, seq=1)

    assert not Alarm.objects.exists()


def test_buffered_events_neither_raise_nor_clear_an_alarm() -> None:
    device = DeviceFactory.create()
    send_event(device, 0, "raised", boot=2, seq=500)

    send_event(device, 1, "cleared", boot=1, seq=9_000)
    send_event(device, 1, "cleared", boot=2, seq=400)
    assert open_codes(device) == {"hot"}
    send_event(device, 2, "cleared", boot=2, seq=501)
    send_event(device, 3, "raised", boot=2, seq=401)

    assert open_codes(device) == set()
    assert Alarm.objects.count() == 1


def test_an_event_that_is_delivered_again_much_later_is_ignored() -> None:
    device = DeviceFactory.create()
    send_event(device, 0, "raised", boot=1, seq=1)
    for seq in range(2, 200):  # beyond the window in which repeats are recognised
        say(device, "heartbeat", t(0.5), boot=1, seq=seq)

    send_event(device, 1, "raised", boot=1, seq=1)

    assert Alarm.objects.get().count == 1


def test_a_late_clear_does_not_drop_a_held_back_alarm() -> None:
    device = DeviceFactory.create()
    announce(device, begin=t(0), end=t(10))
    send_event(device, 1, "raised", boot=1, seq=2)

    send_event(device, 2, "cleared", boot=1, seq=1)

    assert HeldAlarm.objects.count() == 1
    assert raise_held_back_across_tenants(now=t(11)) == 1


@pytest.mark.parametrize("count", [{}, {"boot": 7}, {"seq": 7}])
def test_without_boot_and_seq_the_last_event_to_arrive_counts(
    count: dict[str, int],
) -> None:
    device = DeviceFactory.create()
    send_event(device, 0, "cleared", boot=9, seq=9)

    send_event(device, 1, "raised", **count)

    assert open_codes(device) == {"hot"}
    assert count or EventOrder.objects.get().words == {"hot": [9, 9]}


def test_the_event_order_starts_again_for_a_new_owner() -> None:
    device = DeviceFactory.create()
    send_event(device, 0, "cleared", boot=9, seq=9)

    reset_for_new_tenant(device, at=t(1))
    send_event(device, 2, "raised", boot=1, seq=1)

    assert open_codes(device) == {"hot"}


def test_a_device_that_invents_codes_cannot_fill_the_table() -> None:
    device = DeviceFactory.create()
    body: dict[str, Any] = {"severity": "info", "state": "cleared", "boot": 1}
    every = range(CODES_KEPT + 50)

    arrive(*[uplink(device, "event", t(0), code=f"c{n}", seq=n, **body) for n in every])

    events = EventOrder.objects.get().words
    assert set(events) == {f"c{n}" for n in every[50:]}


def test_a_batch_of_many_devices_takes_as_many_queries_as_one_of_two(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    execute, statements = psycopg.Cursor.execute, Counter[int]()
    size = 0

    def counting(cursor: psycopg.Cursor[Any], *args: Any, **options: Any) -> Any:
        statements[size] += 1
        return execute(cursor, *args, **options)

    for size in (2, 20):
        devices = DeviceFactory.create_batch(size)
        for seq in (1, 2):  # the second one finds existing rows
            body = [uplink(d, "event", t(seq), **hot(seq)) for d in devices]
            if seq == 2:
                monkeypatch.setattr(psycopg.Cursor, "execute", counting)
            arrive(*body)
            monkeypatch.undo()

    assert statements[20] == statements[2] > 0


def hot(seq: int) -> dict[str, Any]:
    return OrderedEvent("hot", "raised", 1, seq).body()


histories = st.lists(
    st.tuples(
        st.sampled_from(["hot", "wet"]),
        st.sampled_from(["raised", "cleared"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


def events_of(history: list[tuple[str, str, bool]]) -> list[OrderedEvent]:
    """Return the events of a device in the order of its count."""
    events, boot, seq = [], 1, 0
    for code, state, starts_anew in history:
        boot, seq = (boot + 1, 1) if starts_anew else (boot, seq + 1)
        events.append(OrderedEvent(code, state, boot, seq))
    return events


def live(device: Device, batches: list[list[OrderedEvent]]) -> datetime:
    """Ingest the batches, a second apart; then let the alarms settle."""
    at = t(0)
    for batch in batches:
        at += SECOND
        ingest_batch(
            [uplink(device, "event", at, **w.body()) for w in batch], [], now=at
        )
    settle_across_tenants(now=at + SETTLE_AFTER)
    return at


def test_any_order_and_repetition_of_events_gives_the_same_alarms(
    counted: Counter[str], is_long: bool
) -> None:
    @settings(
        max_examples=EXAMPLES_AT_FULL_SIZE if is_long else EXAMPLES,
        deadline=None,
        derandomize=not is_long,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(history=histories, chance=st.randoms(use_true_random=False))
    def holds(history: list[tuple[str, str, bool]], chance: Any) -> None:
        events = events_of(history)
        mixed = events + [event for event in events if chance.random() < 0.4]
        chance.shuffle(mixed)
        batches: list[list[OrderedEvent]] = [[]]
        for event in mixed:
            if batches[-1] and chance.random() < 0.5:
                batches.append([])
            batches[-1].append(event)
        straight, shuffled = DeviceFactory.create_batch(2)

        live(straight, [[event] for event in events])
        live(shuffled, batches)

        last = {event.code: event.state for event in events}
        expected = {code for code, state in last.items() if state == "raised"}
        assert open_codes(straight) == open_codes(shuffled) == expected
        counted["events of a device, shuffled and repeated"] += len(mixed)

    holds()
