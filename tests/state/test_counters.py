"""The count of disconnects in 72 hours is exact at any time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.models import Device
from state.models import ConnectivityTransition, Presence
from tests.factories import DeviceFactory
from tests.state.scene import MINUTE, be_born, presence, say, sweep, t, will

pytestmark = pytest.mark.django_db
WINDOW = timedelta(hours=72)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)

waits = st.sampled_from([10 * SECOND, 3 * MINUTE, HOUR, 9 * HOUR, 30 * HOUR, WINDOW])
deeds = st.sampled_from(["born", "born", "lost", "lost", "left", "speaks", "nothing"])
steps = st.lists(st.tuples(waits, deeds), min_size=1, max_size=25)


@dataclass
class Model:
    """A simple model of a device: it records every loss with its time."""

    is_there: bool = False
    heard_at: datetime | None = None
    losses: list[datetime] = field(default_factory=list)

    def pass_time(self, now: datetime) -> None:
        if self.is_there and self.heard_at and now - self.heard_at >= 5 * MINUTE:
            self.is_there = False
            self.losses.append(now)

    def do(self, deed: str, now: datetime) -> None:
        if deed in ("born", "speaks"):
            self.is_there, self.heard_at = True, now
        elif deed == "lost" and self.is_there:
            self.is_there = False
            self.losses.append(now)
        elif deed == "left":
            self.is_there, self.heard_at = False, now

    def count(self, now: datetime) -> int:
        return len([at for at in self.losses if at > now - WINDOW])


@pytest.fixture
def device() -> Device:
    made: Device = DeviceFactory.create()
    return made


def test_the_count_equals_a_model_that_records_every_loss(
    device: Device, is_long: bool
) -> None:
    @settings(max_examples=30 if is_long else 8, deadline=None)
    @given(steps)
    def of_any_history(steps: list[tuple[timedelta, str]]) -> None:
        Presence.objects.all().delete()
        ConnectivityTransition.objects.all().delete()
        model, now = Model(), t(0)
        be_born(device, now, "s0")
        model.do("born", now)

        for number, (wait, deed) in enumerate(steps, start=1):
            now += wait
            sweep(now)
            model.pass_time(now)
            assert presence(device).disconnects_72h == model.count(now)
            session = presence(device).session
            now += SECOND
            if deed == "born":
                be_born(device, now, f"s{number}")
            elif deed == "lost":
                will(device, now, session)
            elif deed == "left":
                say(device, "status", now, status="goodbye", session=session)
            elif deed == "speaks":
                say(device, "heartbeat", now)
            model.do(deed, now)
            assert presence(device).disconnects_72h == model.count(now)

    of_any_history()
