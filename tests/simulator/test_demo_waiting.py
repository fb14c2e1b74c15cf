"""What the demo waits for: nobody speaks before us, nobody is ready without a story."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from iotplatform.management.commands import simulate
from iotplatform.simulator.demo.fleet import demo_devices
from iotplatform.simulator.demo.load import load_fleet
from iotplatform.simulator.demo.replay import Said, hear
from iotplatform.simulator.demo.targets import list_simulated_across_tenants
from iotplatform.simulator.demo.waiting import (
    has_spoken_across_tenants,
    is_heard_across_tenants,
)
from iotplatform.simulator.link import Address
from iotplatform.simulator.world import Plan, World
from state.services.presence.adapter_liveness import Beat, beat, open_slots

KEY = b"0123456789abcdef0123456789abcdef"
BEGAN = datetime(2026, 12, 1, 9, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HEALTHY = next(d.uid for d in demo_devices(30) if d.profile == "healthy")
TROUBLED = [d.uid for d in demo_devices(30) if d.is_troubled]


def beat_of_bridge(at: datetime, *, read_up_to: datetime | None) -> None:
    """A bridge has the slot; None: its broker has not taken its subscription yet."""
    beat([Beat(1, "bridge:1", read_up_to, 0, 0, 0, 0.0, 0.0)], now=at)


def load_and_report(*, all_but: str) -> None:
    """Every device of the fleet but one has started."""
    load_fleet(30, key=KEY)
    birth = {"status": "online", "boot": 1}
    uids = list_simulated_across_tenants().exclude(uid=all_but)
    fleet = uids.values_list("uid", "gateway__uid")
    hear([Said(uid, "status", birth, gateway) for uid, gateway in fleet], at=BEGAN)


def test_a_slot_is_heard_once_it_was_read_not_when_it_is_opened(db: None) -> None:
    assert not is_heard_across_tenants(since=BEGAN)

    open_slots(1, now=BEGAN + SECOND)
    assert not is_heard_across_tenants(since=BEGAN)
    beat_of_bridge(BEGAN + SECOND, read_up_to=None)
    assert not is_heard_across_tenants(since=BEGAN)

    beat_of_bridge(BEGAN + 2 * SECOND, read_up_to=BEGAN + 2 * SECOND)
    assert is_heard_across_tenants(since=BEGAN)


def test_a_slot_that_an_earlier_bridge_read_is_not_heard_yet(db: None) -> None:
    open_slots(1, now=BEGAN - 60 * SECOND)
    beat_of_bridge(BEGAN - 30 * SECOND, read_up_to=BEGAN - 30 * SECOND)

    beat_of_bridge(BEGAN + SECOND, read_up_to=None)
    assert not is_heard_across_tenants(since=BEGAN)

    beat_of_bridge(BEGAN + 2 * SECOND, read_up_to=BEGAN + 2 * SECOND)
    assert is_heard_across_tenants(since=BEGAN)


def test_devices_wait_for_a_bridge_however_long_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answers = iter([False, False, False, True])
    asked: list[datetime] = []

    def is_heard(since: datetime) -> bool:
        asked.append(since)
        return next(answers)

    monkeypatch.setattr(simulate, "_is_heard", is_heard)
    monkeypatch.setattr(simulate, "LOOK_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(simulate, "WARN_EVERY_SECONDS", 0.0)
    world = World(Plan(address=Address("127.0.0.1", 1), key=KEY, folder=tmp_path))
    began = timezone.now()

    asyncio.run(simulate._until_heard(world))

    assert len(asked) == 4
    assert len(set(asked)) == 1
    assert asked[0] >= began
    assert "the devices wait" in caplog.text


@pytest.mark.parametrize("silent", TROUBLED)
def test_the_demo_is_not_ready_while_a_device_of_the_story_is_silent(
    db: None, silent: str
) -> None:
    load_and_report(all_but=silent)

    assert not has_spoken_across_tenants()


def test_one_silent_device_outside_the_story_does_not_hold_the_demo_up(
    db: None,
) -> None:
    load_fleet(30, key=KEY)
    assert not has_spoken_across_tenants()

    load_and_report(all_but=HEALTHY)

    assert has_spoken_across_tenants()
