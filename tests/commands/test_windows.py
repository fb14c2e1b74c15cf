"""A job's window is open by the clocks of each site, also on days of clock changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.models import Job, JobTarget
from commands.selectors.job_waits import describe_waits
from commands.selectors.jobs import counts_of
from commands.services.jobs import start_job
from commands.windows import first_instant, is_open, next_opening
from tests.commands.test_jobs import commands_of, fleet_of, make_job, tick
from tests.commands.units import claim

BERLIN = ZoneInfo("Europe/Berlin")  # 29 March 2026: 02:00 → 03:00; 25 October: back
NIGHT = {"from": "02:30", "to": "04:00"}
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",  # by half an hour
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Africa/Casablanca",
]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "clock", "instant"),
    [
        (date(2026, 3, 28), time(2, 30), "2026-03-28T01:30"),
        (date(2026, 3, 29), time(2, 30), "2026-03-29T01:00"),  # it is skipped
        (date(2026, 10, 25), time(2, 30), "2026-10-25T00:30"),  # the first of two
        (date(2026, 10, 25), time(3, 0), "2026-10-25T02:00"),
    ],
)
def test_a_skipped_time_means_the_next_instant_and_a_double_one_the_first(
    day: date, clock: time, instant: str
) -> None:
    assert first_instant(day, clock, BERLIN) == utc(instant)


@given(
    day=st.dates(date(2020, 1, 1), date(2035, 12, 31)),
    minute=st.integers(0, 24 * 60 - 1),
    zone=st.sampled_from(ZONES).map(ZoneInfo),
)
def test_it_is_the_first_instant_at_which_the_clock_has_come_so_far(
    day: date, minute: int, zone: ZoneInfo
) -> None:
    clock = time(*divmod(minute, 60))
    wall = datetime.combine(day, clock)

    found = first_instant(day, clock, zone)

    def shown(at: datetime) -> datetime:
        return at.astimezone(zone).replace(tzinfo=None)

    assert shown(found) >= wall
    earlier = (found - timedelta(minutes=step) for step in range(1, 4 * 60, 7))
    assert all(shown(at) < wall for at in earlier)
    assert shown(found - timedelta(seconds=1)) < wall


@given(
    at=st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 31)),
    start=st.integers(0, 24 * 60 - 1),
    length=st.integers(1, 24 * 60 - 1),
    zone=st.sampled_from(ZONES).map(ZoneInfo),
)
def test_it_opens_next_when_it_says(
    at: datetime, start: int, length: int, zone: ZoneInfo
) -> None:
    first, last = divmod(start, 60), divmod((start + length) % (24 * 60), 60)
    window = {
        "from": "{:02}:{:02}".format(*first),
        "to": "{:02}:{:02}".format(*last),
    }
    now = at.replace(tzinfo=UTC)

    opens = next_opening(window, zone, now)

    assert opens is not None
    assert is_open(window, zone, opens)
    assert opens == now or not is_open(window, zone, opens - timedelta(seconds=1))
    assert (opens == now) == is_open(window, zone, now)


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    window = {"from": "22:00", "to": "04:00", "days": ["fri"]}
    friday, saturday = "2026-05-01T", "2026-05-02T"

    def is_open_at(text: str) -> bool:
        return is_open(window, ZoneInfo("UTC"), utc(text))

    assert not is_open_at(f"{friday}03:00")
    assert is_open_at(f"{friday}22:00")
    assert is_open_at(f"{saturday}03:59")
    assert not is_open_at(f"{saturday}04:00")
    assert not is_open_at(f"{saturday}22:30")


def test_a_window_that_a_clock_change_skips_is_empty_on_that_day() -> None:
    window = {"from": "02:10", "to": "02:50"}

    opens = next_opening(window, BERLIN, utc("2026-03-28T12:00"))

    assert opens == utc("2026-03-30T00:10")


@pytest.mark.django_db
def test_a_device_that_returns_outside_its_window_waits_for_the_next_one() -> None:
    units = fleet_of(1, online=False)
    type(units[0].device.site).objects.update(time_zone="UTC")
    policy = {"expires_in_seconds": 7 * 86_400}
    job = make_job(
        units,
        command={"name": "reboot", "params": {}, "policy": policy},
        rollout={"window": {"from": "01:00", "to": "05:00"}},
    )
    day = datetime.now(UTC).date() + timedelta(days=1)
    start_job(job=job, actor=None)
    tick(datetime.combine(day, time(2), UTC))
    assert [command.status for command in commands_of(job)] == ["held"]

    noon = datetime.combine(day, time(12), UTC)
    units[0].come_online(at=noon)

    [command] = commands_of(job)
    assert command.status == "queued"
    assert claim(at=noon + timedelta(minutes=1)) == []
    opens = datetime.combine(day + timedelta(days=1), time(1), UTC)
    assert command.due_at == opens
    assert len(claim(at=opens)) == 1


@pytest.mark.django_db
def test_only_members_whose_site_is_in_its_window_get_the_command() -> None:
    near = fleet_of(2)
    far = fleet_of(2, tenant=near[0].device.tenant)
    for unit, zone in ((near[0], "UTC"), (far[0], "Asia/Tokyo")):
        site = unit.device.site
        site.time_zone = zone
        site.save()
    job = make_job([*near, *far], rollout={"window": {"from": "01:00", "to": "05:00"}})
    day = datetime.now(UTC).date() + timedelta(days=1)
    start_job(job=job, actor=None)

    def at(clock: str) -> set[int]:
        now = datetime.combine(day, time.fromisoformat(clock), UTC)
        tick(now)
        return {command.device_id for command in commands_of(job)}

    def words(clock: str) -> str | None:
        now = datetime.combine(day, time.fromisoformat(clock), UTC)
        found = Job.objects.get(pk=job.pk)
        return describe_waits([found], counts_of([found]), now=now)[job.pk]

    assert at("00:30") == set()
    assert words("00:30") == (
        "waiting for the window 01:00 to 05:00 (local time) of 4 devices;"
        " it opens next at 01:00:00 UTC"
    )
    assert at("02:00") == {unit.device.pk for unit in near}
    assert at("15:59") == {unit.device.pk for unit in near}
    assert str(words("15:59")).endswith("of 2 devices; it opens next at 16:00:00 UTC")
    assert at("16:00") == {unit.device.pk for unit in (*near, *far)}
    assert not JobTarget.objects.exclude(skip_reason="").exists()
