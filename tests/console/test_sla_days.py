"""The SLA report's days are counted ahead, and again when late evidence arrives."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db.models import F
from django.test import Client
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from console.models import IncidentMember, SlaDay, SlaRecount
from console.services.sla_days import (
    count_days_across_tenants,
    forget_days_across_tenants,
)
from registry.models import Device, LifecycleMove, Site
from state.models import MaintenancePlace
from tests.console.test_sla_report import (
    SPANS,
    START,
    STATES,
    at,
    device_since,
    history,
    lost,
    member,
    report,
    window,
)
from tests.factories import MembershipFactory, ProjectFactory, SiteFactory

pytestmark = pytest.mark.django_db
DAY = 24 * 60
# In Berlin clocks were set back on 25 October 2026, and forward on 29 March.
NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)
WEEK = 7 * DAY


def berlin_device(**given: Any) -> Device:
    site = SiteFactory.create(time_zone="Europe/Berlin", **given)
    return device_since(-1_000, tenant=site.tenant, site=site)


def count(now: datetime = NOW) -> int:
    return count_days_across_tenants(now=now)


def day_of(device: Device, day: date) -> SlaDay:
    return SlaDay.objects.get(site=device.site_id, day=day)


def in_words(lines: list[dict[str, Any]]) -> list[Any]:
    """Lines to the millisecond: the sums of days are sums of other numbers."""
    return [
        (
            line["site"],
            round(line["active_minutes"] * 60, 3),
            {cause: round(value * 60, 3) for cause, value in lost(line).items()},
        )
        for line in lines
    ]


def test_days_have_the_seconds_of_their_time_zone_on_both_changes_of_clocks() -> None:
    device = berlin_device()
    history(device, (60, "offline", "last_will"))
    spring = datetime(2026, 3, 27, tzinfo=UTC)
    Device.objects.filter(pk=device.pk).update(created_at=spring)
    window(device, 6 * 60, 6.5 * 60)

    count()

    hours = dict(SlaDay.objects.values_list("day", "active"))
    assert hours[date(2026, 3, 28)] == 24 * 3_600
    assert hours[date(2026, 3, 29)] == 23 * 3_600
    assert hours[date(2026, 10, 25)] == 25 * 3_600
    autumn = day_of(device, date(2026, 10, 25))
    assert autumn.from_at == START  # midnight in summer time
    assert (autumn.device, autumn.maintenance) == (23.5 * 3_600, 1_800)
    running = day_of(device, date(2026, 11, 3))
    assert (running.until, running.is_settled) == (NOW, False)
    assert running.active == 13 * 3_600


def test_counted_days_give_the_figures_of_the_evidence() -> None:
    device = berlin_device()
    other = device_since(-500, tenant=device.tenant, site=device.site)
    Device.objects.filter(pk=other.pk).update(
        project=ProjectFactory.create(tenant=device.tenant)
    )
    history(
        device,
        (10, "offline", "last_will"),
        (2 * DAY, "stale", "platform_blind"),  # blind over midnight
        (2 * DAY + 90, "stale", "gateway_offline"),
        (3 * DAY, "online", ""),
    )
    history(other, (DAY, "suspect", "missed_heartbeat"), (4 * DAY, "online", ""))
    window(device, 1_000, 2_000)
    member(other, "site", DAY + 10, DAY + 500)
    member(other, "adapter", 3 * DAY, 3 * DAY + 30)  # it came back
    spans = [(WEEK, {}), (5 * DAY + 17, {"from": at(33).isoformat()})]
    before = [report(device.tenant, minutes, **asked) for minutes, asked in spans]

    counted = count()
    changed = SlaDay.objects.filter(day=date(2026, 10, 28))  # to see that it is used
    changed.update(device=F("device") + 3_600)
    after = [report(device.tenant, minutes, **asked) for minutes, asked in spans]

    assert counted == 11 + 11  # days of two places
    for old, new in zip(before, after, strict=True):
        for line in old:
            line["lost_minutes"]["device"] += 2 * 60
        assert in_words(new) == in_words(old)


def late_transition(device: Device) -> tuple[float, float]:
    history(device, (DAY + 60, "offline", "last_will"), (DAY + 90, "online", ""))
    return 24 * 3_600, 1_800


def late_move(device: Device) -> tuple[float, float]:
    LifecycleMove.objects.create(
        tenant=device.tenant,
        device=device,
        at=at(DAY + 120),
        moved_from="active",
        moved_to="in_repair",
    )
    return 3_600, 0


def younger_device(device: Device) -> tuple[float, float]:
    Device.objects.filter(pk=device.pk).update(created_at=at(DAY + 120))
    return 23 * 3_600, 0


EVIDENCE = [late_transition, late_move, younger_device]


@pytest.mark.parametrize("arrive", EVIDENCE)
def test_late_evidence_changes_the_row_of_its_day(
    arrive: Callable[[Device], tuple[float, float]],
) -> None:
    device = berlin_device()
    count()
    before = day_of(device, date(2026, 10, 26))

    expected = arrive(device)
    [at_once] = report(device.tenant, WEEK)
    count()
    [counted] = report(device.tenant, WEEK)

    after = day_of(device, date(2026, 10, 26))
    assert (before.active, before.device) == (24 * 3_600, 0)
    assert (after.active, after.device) == expected
    assert in_words([counted]) == in_words([at_once])
    assert not SlaRecount.objects.exists()


def test_late_maintenance_and_incidents_explain_a_day_again() -> None:
    device = berlin_device()
    history(device, (DAY, "offline", "last_will"), (DAY + 600, "online", ""))
    day = date(2026, 10, 26)
    count()

    window(device, DAY + 100, DAY + 200)
    incident = member(device, "site", DAY + 100, DAY + 400)
    count()
    told = day_of(device, day)
    MaintenancePlace.objects.filter(device=device).update(until=at(DAY + 300))
    IncidentMember.objects.filter(incident=incident).update(until=at(DAY + 450))
    count()
    changed = day_of(device, day)
    MaintenancePlace.objects.filter(device=device).delete()
    count()
    deleted = day_of(device, day)

    # The day began an hour after the silence, at midnight in winter time.
    parts = [
        (row.device / 60, row.maintenance / 60, row.site_itself / 60)
        for row in (told, changed, deleted)
    ]
    assert parts == [(240, 100, 200), (190, 200, 150), (190, 0, 350)]


def test_a_device_that_moves_takes_its_past_along() -> None:
    device = berlin_device()
    history(device, (DAY, "offline", "last_will"))
    place = SiteFactory.create(tenant=device.tenant, time_zone="Asia/Tokyo")
    count()

    Device.objects.filter(pk=device.pk).update(site=place)
    [at_once] = report(device.tenant, WEEK)
    count()

    assert not SlaDay.objects.exclude(site=place).exists()
    assert in_words(report(device.tenant, WEEK)) == in_words([at_once])


def test_another_time_zone_makes_other_days() -> None:
    device = berlin_device()
    count()

    Site.objects.filter(pk=device.site_id).update(time_zone="Asia/Tokyo")
    count()

    days = SlaDay.objects.filter(site=device.site_id).order_by("day")
    bounds = [(row.from_at, row.until) for row in days]
    assert all(row.from_at.hour == 15 for row in days)
    assert [begin for begin, _ in bounds[1:]] == [end for _, end in bounds[:-1]]
    assert not SlaRecount.objects.exists()


def test_what_comes_in_time_is_not_written_down() -> None:
    device = device_since()
    now = datetime.now(UTC)
    Device.objects.filter(pk=device.pk).update(created_at=now)
    SlaRecount.objects.all().delete()
    minutes = (now - START).total_seconds() / 60

    history(device, (minutes - 1, "offline", "last_will"))
    window(device, minutes - 30, minutes + 30)
    MaintenancePlace.objects.update(until=now)
    member(device, "site", minutes - 5, minutes)

    assert not SlaRecount.objects.exists()
    assert count(now + timedelta(minutes=1)) == len(SlaDay.objects.all())


def test_a_run_counts_again_only_what_may_have_changed() -> None:
    device = berlin_device()

    assert count() == 11
    assert count(NOW + timedelta(minutes=5)) == 1
    assert count(NOW + timedelta(hours=12)) == 2  # yesterday's end is 1 hour ago
    assert count(NOW + timedelta(hours=14)) == 2
    assert count(NOW + timedelta(hours=14, minutes=1)) == 1
    SlaDay.objects.filter(day=date(2026, 10, 28)).delete()
    assert count(NOW + timedelta(hours=15)) == 12
    assert forget_days_across_tenants(now=NOW + timedelta(days=401)) == 10
    assert day_of(device, date(2026, 11, 4)).active == 4 * 3_600


def test_the_page_says_as_of_when_it_was_counted(
    client: Client, django_assert_max_num_queries: Any
) -> None:
    device = berlin_device()
    history(device, (60, "offline", "last_will"))
    client.force_login(MembershipFactory.create(tenant=device.tenant).user)
    at_once = client.get("/reports/sla/?days=30&format=csv").content.decode()

    count(datetime.now(UTC))
    cache.clear()  # the figures of the last minute
    file = client.get("/reports/sla/?days=30&format=csv").content.decode()
    SlaDay.objects.filter(is_settled=False).update(device=0, active=60 * 777)
    with django_assert_max_num_queries(20):
        page = client.get("/reports/sla/?days=1").content.decode()

    [before], [after] = (list(csv.DictReader(io.StringIO(t))) for t in (at_once, file))
    assert float(before["availability"]) == float(after["availability"]) == 0
    assert "as of" in page
    assert "Availability 100.00 %" in page  # it reads no evidence
    assert 'aria-label="Availability per day from' in page


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    changes=st.lists(
        st.tuples(st.integers(-3_000, 5 * DAY * 60), STATES),
        max_size=12,
        unique_by=lambda change: change[0],
    ),
    people=SPANS,
    told=st.lists(st.tuples(st.integers(0, 4 * DAY * 60), st.integers(1, DAY * 60))),
)
@example(changes=[], people=[], told=[(0, 60), (0, 60)])  # two incidents at once
def test_any_history_is_counted_by_days_as_it_is_at_once(
    changes: Any, people: Any, told: Any
) -> None:
    device = berlin_device()
    history(device, *((second / 60, *state) for second, state in sorted(changes)))
    for begin, length in people:
        window(device, begin * 30 / 60, (begin + length) * 30 / 60)
    for begin, length in told[:4]:
        member(device, "site", begin / 60, (begin + length) / 60)

    at_once = report(device.tenant, 5 * DAY + 77)
    count()

    assert in_words(report(device.tenant, 5 * DAY + 77)) == in_words(at_once)
