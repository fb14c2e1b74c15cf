"""An alarm that comes and goes is kept open as one alarm; compared with a model."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from registry.models import Device
from state.models import Alarm, AlarmChange
from state.selectors import get_state
from state.services.alarms.closing import (
    restart_future_settling_across_tenants,
    settle_across_tenants,
)
from state.services.alarms.flapping import (
    FLAP_RAISES,
    FLAP_WINDOW,
    SETTLE_AFTER,
)
from state.services.alarms.held_back import raise_held_back_across_tenants
from state.services.alarms.ingest import acknowledge_alarm
from state.services.maintenance import open_for_devices
from tests.factories import DeviceFactory, UserFactory
from tests.state.scene import T0, say, t
from tests.state.test_alarms import client_of, raise_alarm


def clear(device: Device, minute: float) -> None:
    say(device, "event", t(minute), code="hot", severity="info", state="cleared")


def flap(device: Device, turns: int, begin: float = 0, every: float = 1) -> None:
    """Raise and clear once a minute."""
    for turn in range(turns):
        raise_alarm(device, begin + turn * every)
        clear(device, begin + (turn + 0.5) * every)


def moves(device: Device) -> list[str]:
    rows = AlarmChange.objects.filter(device=device).order_by("at", "pk")
    return list(rows.values_list("move", flat=True))


@pytest.mark.django_db
def test_a_hundred_raises_are_three_alarms_and_the_last_stays_open() -> None:
    device = DeviceFactory.create()

    flap(device, 100)

    *earlier, last = Alarm.objects.order_by("pk")
    assert [alarm.state for alarm in earlier] == ["cleared"] * (FLAP_RAISES - 1)
    assert (last.state, last.count, last.flaps) == ("raised", 98, 97)
    assert AlarmChange.objects.count() == 6
    (shown,) = get_state(device)["alarms"]
    assert shown["flapping"] is True
    assert "comes and goes: came back 97 times, not present now" in shown["text"]


@pytest.mark.django_db
def test_a_settled_alarm_is_cleared_if_away_and_a_normal_alarm_if_present() -> None:
    away, there = DeviceFactory.create_batch(2)
    for device in (away, there):
        flap(device, 3)
    raise_alarm(there, 4)

    early = settle_across_tenants(now=t(2.5) + SETTLE_AFTER - timedelta(seconds=1))
    late = settle_across_tenants(now=t(5) + SETTLE_AFTER)

    assert (early, late) == (0, 2)
    gone = Alarm.objects.filter(device=away).latest("pk")
    stayed = Alarm.objects.filter(device=there).latest("pk")
    assert (gone.state, gone.cleared_at) == ("cleared", t(5) + SETTLE_AFTER)
    assert (stayed.state, stayed.flapping_since) == ("raised", None)
    clear(there, 30)
    stayed.refresh_from_db()
    assert stayed.state == "cleared"


@pytest.mark.django_db
def test_an_alarm_from_before_the_clock_was_set_back_settles_in_time() -> None:
    away, there = DeviceFactory.create_batch(2)
    for device in (away, there):
        flap(device, 3)
    raise_alarm(there, 3)

    restart_future_settling_across_tenants(now=t(-57))

    assert settle_across_tenants(now=t(-57) + SETTLE_AFTER - timedelta(seconds=1)) == 0
    assert settle_across_tenants(now=t(-57) + SETTLE_AFTER) == 2
    gone, stayed = (
        Alarm.objects.filter(device=device).latest("pk") for device in (away, there)
    )
    assert (gone.state, stayed.state) == ("cleared", "raised")


@pytest.mark.django_db
def test_an_alarm_that_flaps_now_keeps_its_settling_time() -> None:
    device = DeviceFactory.create()
    flap(device, 3)
    assert restart_future_settling_across_tenants(now=t(2)) == 0


@pytest.mark.django_db
def test_an_acknowledgement_stays_while_the_alarm_comes_and_goes() -> None:
    device = DeviceFactory.create()
    flap(device, 3)
    person = UserFactory.create()

    acknowledge_alarm(Alarm.objects.latest("pk"), by=person, at=t(3))
    flap(device, 5, begin=4)

    alarm = Alarm.objects.latest("pk")
    assert (alarm.state, alarm.flaps) == ("acknowledged", 5)
    assert moves(device)[-3:] == ["raised", "flapping", "acknowledged"]
    assert AlarmChange.objects.latest("pk").by == person


@pytest.mark.django_db
def test_an_alarm_that_comes_seldom_is_a_new_alarm_each_time() -> None:
    device = DeviceFactory.create()

    flap(device, 6, every=SETTLE_AFTER.total_seconds() / 60 + 1)

    assert set(Alarm.objects.values_list("state", "flapping_since")) == {
        ("cleared", None)
    }
    assert Alarm.objects.count() == 6


@pytest.mark.django_db
def test_the_list_describes_an_alarm_that_comes_and_goes() -> None:
    device = DeviceFactory.create()
    flap(device, 4)

    listed = client_of(device).get("/api/v1/alarms/?flapping=true").json()["results"]

    assert [(row["flapping"], row["flaps"]) for row in listed] == [(True, 1)]
    assert "came back once" in listed[0]["text"]


@pytest.mark.django_db
def test_a_return_counts_when_it_came_back_not_when_it_was_last_reported() -> None:
    device = DeviceFactory.create()
    flap(device, 3, every=0.1)
    raise_alarm(device, 1)  # it comes back and stays
    settle_across_tenants(now=t(40))
    raise_alarm(device, 40)

    for minute in (41, 42):
        clear(device, minute)
        raise_alarm(device, minute + 0.5)

    assert Alarm.objects.latest("pk").flapping_since is None


@pytest.mark.django_db
def test_an_alarm_raised_after_maintenance_counts_from_when_it_was_raised() -> None:
    device = DeviceFactory.create()
    until = t(10)
    open_for_devices([device.pk], from_at=T0, until=until, reason="filters")
    raise_alarm(device, 0)
    raise_held_back_across_tenants(now=t(16))

    for minute in (17, 32):
        clear(device, minute)
        raise_alarm(device, minute + 0.1)

    assert Alarm.objects.latest("pk").flapping_since == t(32.1)


class AlarmMachine(RuleBasedStateMachine):
    """One code of one device, compared with a model that follows the documentation."""

    def __init__(self) -> None:
        super().__init__()
        self.device = DeviceFactory.create()
        self.person = UserFactory.create()
        self.now: datetime = T0
        self.work_until: datetime | None = None
        self.is_held = False
        self.is_open = self.is_seen = self.is_flapping = self.is_there = False
        self.turned_at = T0
        self.raised: list[datetime] = []
        self.backs: list[tuple[datetime, int]] = []  # per alarm: last return, how many
        self.opened = self.closed = 0

    @rule(minutes=st.sampled_from([0.5, 1, 3, 8, 16, 40]))
    def wait(self, minutes: float) -> None:
        """Time passes, and the sweep runs."""
        self.now += timedelta(minutes=minutes)
        raise_held_back_across_tenants(now=self.now)
        settle_across_tenants(now=self.now)
        if self.is_held and not self.rests:
            self.is_held = False
            self._open()
        if self.is_flapping and self.now >= self.turned_at + SETTLE_AFTER:
            self.is_flapping = False
            if not self.is_there:
                self._close()

    @rule()
    def work_begins(self) -> None:
        """Somebody announces ten minutes of maintenance."""
        until = self.now + timedelta(minutes=10)
        open_for_devices(
            [self.device.pk], from_at=self.now, until=until, reason="filters"
        )
        self.work_until = until

    @rule()
    def report(self) -> None:
        """The device raises it."""
        say(
            self.device,
            "event",
            self.now,
            code="hot",
            severity="warning",
            state="raised",
        )
        if not self.is_open:
            if self.rests:
                self.is_held = True
            else:
                self.is_held = False
                self._open()
        elif self.is_flapping and not self.is_there:
            self.backs[-1] = (self.now, self.backs[-1][1] + 1)
            self.turned_at = self.now
            self.is_there = True

    @rule()
    def be_well(self) -> None:
        """The device clears it."""
        say(
            self.device, "event", self.now, code="hot", severity="info", state="cleared"
        )
        self.is_held = False
        if not self.is_flapping:
            if self.is_open:
                self._close()
        elif self.is_there:
            self.is_there, self.turned_at = False, self.now

    @rule()
    def see(self) -> None:
        """A person acknowledges what is open."""
        if self.is_open:
            mine = Alarm.objects.filter(device=self.device)
            alarm = mine.exclude(state="cleared").get()
            acknowledge_alarm(alarm, by=self.person, at=self.now)
            self.is_seen = True

    @property
    def rests(self) -> bool:
        return self.work_until is not None and self.work_until > self.now

    def _open(self) -> None:
        since = self.now - FLAP_WINDOW
        self.raised.append(self.now)
        lately = sum(at > since for at in self.raised)
        lately += sum(count for at, count in self.backs if at > since)
        self.backs.append((self.now, 0))
        self.is_open = self.is_there = True
        self.is_flapping = lately >= FLAP_RAISES
        self.turned_at = self.now
        self.opened += 1

    def _close(self) -> None:
        self.is_open = self.is_seen = self.is_there = False
        self.closed += 1

    @invariant()
    def stands_as_the_model(self) -> None:
        """The open alarm and the change log agree with the model."""
        mine = Alarm.objects.filter(device=self.device)
        found = list(mine.exclude(state="cleared"))
        assert len(found) == self.is_open
        for alarm in found:
            assert alarm.state == ("acknowledged" if self.is_seen else "raised")
            assert (alarm.flapping_since is not None) == self.is_flapping
            is_away = alarm.flapping_since and alarm.calm_since
            assert bool(is_away) == (self.is_flapping and not self.is_there)
        logged = moves(self.device)
        assert logged.count("raised") == mine.count() == self.opened
        assert logged.count("cleared") == self.closed


@pytest.mark.django_db
def test_any_sequence_of_events_gives_the_alarms_of_the_model(is_long: bool) -> None:
    run_state_machine_as_test(
        AlarmMachine,
        settings=settings(
            max_examples=300 if is_long else 25,
            stateful_step_count=60 if is_long else 30,
            deadline=None,
            derandomize=not is_long,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
