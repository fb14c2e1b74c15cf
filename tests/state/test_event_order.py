"""A device's events come to the same alarms in any order, by its own count."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commands.services.uplink import take_in
from registry.models import Device
from state.models import Alarm, EventOrder, HeldAlarm
from state.services.alarms.closing import settle_across_tenants
from state.services.alarms.event_order import CODES_KEPT
from state.services.alarms.flapping import SETTLE_AFTER
from state.services.alarms.held_back import raise_held_across_tenants
from state.services.tenant_transfer import begin_anew
from tests.factories import DeviceFactory
from tests.state.scene import SECOND, announce, arrive, say, t, uplink

pytestmark = pytest.mark.django_db
EXAMPLES, EXAMPLES_AT_FULL_SIZE = 60, 600


@dataclass(frozen=True)
class Word:
    """One event, with its place in the device's count."""

    code: str
    state: str
    boot: int
    seq: int

    def said(self) -> dict[str, Any]:
        own = {"code": self.code, "state": self.state, "severity": "warning"}
        return {**own, "boot": self.boot, "seq": self.seq}


def tell(device: Device, minute: float, state: str, **count: int) -> None:
    body = {"code": "hot", "severity": "warning", "state": state}
    say(device, "event", t(minute), **body, **count)


def open_codes(device: Device) -> set[str]:
    alarms = Alarm.objects.filter(device=device).exclude(state="cleared")
    return set(alarms.values_list("code", flat=True))


def test_a_raise_that_comes_after_its_clear_opens_nothing() -> None:
    device = DeviceFactory.create()

    tell(device, 0, "cleared", boot=1, seq=2)
    tell(device, 1, "raised", boot=1, seq=1)

    assert not Alarm.objects.exists()


def test_what_comes_from_a_spool_neither_opens_nor_clears() -> None:
    device = DeviceFactory.create()
    tell(device, 0, "raised", boot=2, seq=500)

    tell(device, 1, "cleared", boot=1, seq=9_000)
    tell(device, 1, "cleared", boot=2, seq=400)
    assert open_codes(device) == {"hot"}
    tell(device, 2, "cleared", boot=2, seq=501)
    tell(device, 3, "raised", boot=2, seq=401)

    assert open_codes(device) == set()
    assert Alarm.objects.count() == 1


def test_one_that_is_delivered_again_long_after_is_no_news() -> None:
    device = DeviceFactory.create()
    tell(device, 0, "raised", boot=1, seq=1)
    for seq in range(2, 200):  # beyond the window by which repeats are known
        say(device, "heartbeat", t(0.5), boot=1, seq=seq)

    tell(device, 1, "raised", boot=1, seq=1)

    assert Alarm.objects.get().count == 1


def test_a_late_clear_does_not_let_go_of_what_is_held() -> None:
    device = DeviceFactory.create()
    announce(device, begin=t(0), end=t(10))
    tell(device, 1, "raised", boot=1, seq=2)

    tell(device, 2, "cleared", boot=1, seq=1)

    assert HeldAlarm.objects.count() == 1
    assert raise_held_across_tenants(now=t(11)) == 1


@pytest.mark.parametrize("count", [{}, {"boot": 7}, {"seq": 7}])
def test_without_boot_and_seq_the_last_to_come_counts(count: dict[str, int]) -> None:
    device = DeviceFactory.create()
    tell(device, 0, "cleared", boot=9, seq=9)

    tell(device, 1, "raised", **count)

    assert open_codes(device) == {"hot"}
    assert count or EventOrder.objects.get().words == {"hot": [9, 9]}


def test_a_new_owner_counts_from_the_start() -> None:
    device = DeviceFactory.create()
    tell(device, 0, "cleared", boot=9, seq=9)

    begin_anew(device, at=t(1))
    tell(device, 2, "raised", boot=1, seq=1)

    assert open_codes(device) == {"hot"}


def test_a_device_that_makes_up_codes_fills_no_table() -> None:
    device = DeviceFactory.create()
    body: dict[str, Any] = {"severity": "info", "state": "cleared", "boot": 1}
    every = range(CODES_KEPT + 50)

    arrive(*[uplink(device, "event", t(0), code=f"c{n}", seq=n, **body) for n in every])

    words = EventOrder.objects.get().words
    assert set(words) == {f"c{n}" for n in every[50:]}


def test_a_batch_of_many_devices_asks_as_often_as_one_of_two(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    execute, statements = psycopg.Cursor.execute, Counter[int]()
    size = 0

    def counting(cursor: psycopg.Cursor[Any], *args: Any, **options: Any) -> Any:
        statements[size] += 1
        return execute(cursor, *args, **options)

    for size in (2, 20):
        devices = DeviceFactory.create_batch(size)
        for seq in (1, 2):  # the rows are there at the second
            said = [uplink(d, "event", t(seq), **hot(seq)) for d in devices]
            if seq == 2:
                monkeypatch.setattr(psycopg.Cursor, "execute", counting)
            arrive(*said)
            monkeypatch.undo()

    assert statements[20] == statements[2] > 0


def hot(seq: int) -> dict[str, Any]:
    return Word("hot", "raised", 1, seq).said()


stories = st.lists(
    st.tuples(
        st.sampled_from(["hot", "wet"]),
        st.sampled_from(["raised", "cleared"]),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


def told(story: list[tuple[str, str, bool]]) -> list[Word]:
    """Return what a device says, in the order of its count."""
    words, boot, seq = [], 1, 0
    for code, state, starts_anew in story:
        boot, seq = (boot + 1, 1) if starts_anew else (boot, seq + 1)
        words.append(Word(code, state, boot, seq))
    return words


def live(device: Device, batches: list[list[Word]]) -> datetime:
    """Take the batches in, a second apart; return when they have settled."""
    at = t(0)
    for batch in batches:
        at += SECOND
        take_in([uplink(device, "event", at, **w.said()) for w in batch], [], now=at)
    settle_across_tenants(now=at + SETTLE_AFTER)
    return at


def test_any_order_and_repetition_ends_in_the_same_alarms(
    counted: Counter[str], is_long: bool
) -> None:
    @settings(
        max_examples=EXAMPLES_AT_FULL_SIZE if is_long else EXAMPLES,
        deadline=None,
        derandomize=not is_long,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(story=stories, chance=st.randoms(use_true_random=False))
    def holds(story: list[tuple[str, str, bool]], chance: Any) -> None:
        words = told(story)
        mixed = words + [word for word in words if chance.random() < 0.4]
        chance.shuffle(mixed)
        batches: list[list[Word]] = [[]]
        for word in mixed:
            if batches[-1] and chance.random() < 0.5:
                batches.append([])
            batches[-1].append(word)
        straight, shuffled = DeviceFactory.create_batch(2)

        live(straight, [[word] for word in words])
        live(shuffled, batches)

        last = {word.code: word.state for word in words}
        expected = {code for code, state in last.items() if state == "raised"}
        assert open_codes(straight) == open_codes(shuffled) == expected
        counted["events of a device, shuffled and repeated"] += len(mixed)

    holds()
