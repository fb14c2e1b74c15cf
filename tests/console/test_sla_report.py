"""The SLA report: each lost second has one cause, and they add up."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.test import APIClient

from console.models import Incident, IncidentInterval, IncidentMember
from console.services.incidents.sweep import sweep_incidents_across_tenants
from console.services.sla import create_policy
from registry.choices import Lifecycle, Role
from registry.models import Device, LifecycleMove, MembershipLimit, Tenant
from state.models import (
    ConnectivityTransition,
    MaintenancePlace,
    MaintenanceWindow,
    Presence,
)
from tests.console.incidents import come_online, fall_silent, make_incident
from tests.factories import DeviceFactory, MembershipFactory, SiteFactory, TenantFactory

pytestmark = pytest.mark.django_db
REPORT = "/api/v1/reports/sla/"
POLICIES = "/api/v1/sla-policies/"
# Both ends of daylight saving are of no weight: every time is an instant.
START = datetime(2026, 10, 24, 22, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def client_of(tenant: Tenant, role: Role = Role.MANAGER) -> APIClient:
    client = APIClient()
    client.force_authenticate(MembershipFactory.create(tenant=tenant, role=role).user)
    return client


def device_since(minutes: float = -1_000, **given: Any) -> Device:
    device: Device = DeviceFactory.create(**given)
    Device.objects.filter(pk=device.pk).update(created_at=at(minutes))
    Presence.objects.create(
        device=device,
        tenant=device.tenant,
        connectivity="online",
        cause="",
        since=at(minutes),
    )
    return device


def history(device: Device, *changes: tuple[float, str, str]) -> None:
    """Write the changes of a device that was online before."""
    before = ("online", "")
    for minutes, connectivity, cause in changes:
        ConnectivityTransition.objects.create(
            device=device,
            tenant=device.tenant,
            at=at(minutes),
            moved_from=before[0],
            cause_from=before[1],
            moved_to=connectivity,
            cause=cause,
        )
        before = (connectivity, cause)
        Presence.objects.filter(device=device).update(
            connectivity=connectivity, cause=cause, since=at(minutes)
        )


def report(tenant: Tenant, minutes: float = 100, **asked: Any) -> list[dict[str, Any]]:
    span = {"from": START.isoformat(), "to": at(minutes).isoformat()}
    answer = client_of(tenant).get(REPORT, span | asked)
    assert answer.status_code == 200, answer.content
    return list(answer.json()["results"])


def lost(line: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in line["lost_minutes"].items() if value}


def window(device: Device, begin: float, end: float, origin: str = "") -> None:
    span = {"tenant": device.tenant, "from_at": at(begin), "until": at(end)}
    made = MaintenanceWindow.objects.create(reason="work", origin=origin, **span)
    MaintenancePlace.objects.create(window=made, device=device, **span)


def member(device: Device, cause: str, begin: float, end: float) -> Incident:
    incident = make_incident(
        device.tenant,
        cause=cause,
        object_id=str(uuid4()),  # two may begin at one moment
        opened_at=at(begin),
        first_evidence_at=at(begin),
    )
    IncidentMember.objects.create(
        incident=incident,
        device=device,
        tenant=device.tenant,
        since=at(begin),
        until=at(end),
    )
    return incident


def test_each_lost_minute_has_one_cause() -> None:
    device = device_since()
    history(
        device,
        (10, "offline", "last_will"),
        (40, "stale", "platform_blind"),
        (50, "stale", "gateway_offline"),
        (60, "online", "sleeping"),
        (70, "suspect", "missed_heartbeat"),
        (72.5, "online", ""),
    )
    window(device, 20, 45)
    window(device, 25, 30, origin="job:x")
    member(device, "site", 5, 25)

    [line] = report(device.tenant)

    assert line["active_minutes"] == 100
    assert lost(line) == {
        "site": 10,
        "maintenance": 20,
        "platform": 10,
        "gateway": 10,
        "device": 2.5,
    }
    assert line["availability"] == pytest.approx(1 - 52.5 / 100)


def test_only_time_in_service_counts() -> None:
    device = device_since(-1_000)
    for minutes, old, new in ((30, "active", "in_repair"), (50, "in_repair", "active")):
        LifecycleMove.objects.create(
            tenant=device.tenant,
            device=device,
            at=at(minutes),
            moved_from=old,
            moved_to=new,
        )
    history(device, (20, "offline", "missed_heartbeats"), (60, "online", ""))
    late = device_since(90, tenant=device.tenant, site=device.site)
    DeviceFactory.create(
        tenant=device.tenant, site=device.site, lifecycle=Lifecycle.PROVISIONED
    )

    [line] = report(device.tenant)

    assert late.site_id == device.site_id
    assert line["active_minutes"] == 80 + 10
    assert lost(line) == {"device": 20}


def test_a_state_without_a_change_in_the_time_lasts_from_before_it() -> None:
    silent = device_since()
    history(silent, (-50, "offline", "last_will"), (200, "online", ""))
    never = DeviceFactory.create(tenant=silent.tenant, site=silent.site)
    Device.objects.filter(pk=never.pk).update(created_at=at(50))

    [line] = report(silent.tenant)

    assert lost(line) == {"device": 100, "unknown": 50}


def test_the_report_is_by_site_and_as_csv() -> None:
    tenant = TenantFactory.create(slug="acme")
    for slug in ("b", "a"):
        site = SiteFactory.create(tenant=tenant, slug=slug)
        device_since(tenant=tenant, site=site)
    client = client_of(tenant)
    span = {"from": START.isoformat(), "to": at(60).isoformat()}

    lines = report(tenant)
    [only] = report(tenant, site="b")
    answer = client.get(REPORT, span | {"format": "csv"})

    assert [(line["tenant"], line["site"]) for line in lines] == [
        ("acme", "a"),
        ("acme", "b"),
    ]
    assert only == lines[1]
    assert only["commands"]["count"] == 0
    rows = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert [row["site"] for row in rows] == ["a", "b"]
    assert float(rows[0]["lost_minutes_device"]) == 0
    assert answer["Content-Type"].startswith("text/csv")
    wrong = ({"from": "x"}, {"format": "x"}, {"from": at(60).isoformat(), "to": "x"})
    for asked in (*wrong, {"from": at(60).isoformat(), "to": START.isoformat()}):
        assert client.get(REPORT, asked).status_code == 400
    assert client.get(REPORT, {"site": "x"}).status_code == 404


def test_another_tenant_and_a_limited_member_see_their_own_sites() -> None:
    device = device_since()
    other = device_since(tenant=device.tenant)
    membership = MembershipFactory.create(tenant=device.tenant)
    MembershipLimit.objects.create(
        membership=membership, tenant=device.tenant, site=other.site
    )
    client = APIClient()
    client.force_authenticate(membership.user)

    assert len(report(device.tenant)) == 2
    assert [line["site"] for line in client.get(REPORT).json()["results"]] == [
        other.site.slug if other.site else ""
    ]
    assert report(TenantFactory.create()) == []


def test_incidents_count_with_their_clocks() -> None:
    device = device_since()
    client = client_of(device.tenant)
    body = {"severity": "warning", "acknowledge_minutes": 10, "resolve_minutes": 60}
    client.post(POLICIES, body, format="json")
    for begin, took in ((10, 5), (20, 15)):
        incident = member(device, "device", begin, begin + 40)
        Incident.objects.filter(pk=incident.pk).update(
            acknowledged_at=at(begin + took),
            resolved_at=at(begin + 40),
            status="resolved",
            acknowledge_due_at=at(begin + 10),
            resolve_due_at=at(begin + 60),
        )
        IncidentInterval.objects.create(
            incident=incident,
            tenant=device.tenant,
            from_at=at(begin),
            until=at(begin + 40),
        )

    [line] = report(device.tenant)

    assert line["incidents"] == {
        "count": 2,
        "acknowledged_in_time": 1,
        "resolved_in_time": 2,
        "median_acknowledge_seconds": 600,
        "median_resolve_seconds": 2_400,
    }


@pytest.mark.parametrize(("back_after", "in_time"), [(5, 1), (45, 0)])
def test_an_incident_that_closes_by_itself_was_resolved_in_time_or_late(
    back_after: int, in_time: int
) -> None:
    device = device_since()
    create_policy(
        tenant=device.tenant,
        severity="warning",
        acknowledge_minutes=10,
        resolve_minutes=30,
    )
    fall_silent([device], at=at(10))
    for minutes in (11, 10 + back_after, 11 + back_after):
        if minutes == 10 + back_after:
            come_online([device], at=at(minutes))
        sweep_incidents_across_tenants(now=at(minutes))
    Incident.objects.update(acknowledged_at=at(12))

    [line] = report(device.tenant)

    assert line["incidents"]["count"] == 1
    assert line["incidents"]["acknowledged_in_time"] == 1
    assert line["incidents"]["resolved_in_time"] == in_time


SECONDS = st.integers(-3_000, 9_000)
STATES = st.sampled_from(
    [
        ("online", ""),
        ("online", "sleeping"),
        ("offline", "last_will"),
        ("offline", "goodbye"),
        ("suspect", "missed_heartbeat"),
        ("stale", "platform_blind"),
        ("stale", "gateway_offline"),
        ("offline", ""),
    ]
)
HISTORIES, HISTORIES_AT_FULL_SIZE = 40, 10_000
SPANS = st.lists(st.tuples(SECONDS, st.integers(1, 4_000)), max_size=4)


def test_the_causes_of_any_history_add_up(is_long: bool) -> None:
    @settings(
        max_examples=HISTORIES_AT_FULL_SIZE if is_long else HISTORIES,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(
        changes=st.lists(
            st.tuples(SECONDS, STATES), max_size=12, unique_by=lambda c: c[0]
        ),
        people=SPANS,
        jobs=SPANS,
        told=st.lists(
            st.tuples(
                SECONDS, st.integers(1, 4_000), st.sampled_from(["site", "adapter"])
            ),
            max_size=4,
        ),
    )
    def adds_up(changes: Any, people: Any, jobs: Any, told: Any) -> None:
        device = device_since()
        ordered = sorted(changes)
        history(device, *((second / 60, *state) for second, state in ordered))
        for begin, length in people:
            window(device, begin / 60, (begin + length) / 60)
        for number, (begin, length) in enumerate(jobs):
            window(device, begin / 60, (begin + length) / 60, origin=f"job:{number}")
        for number, (begin, length, cause) in enumerate(told):
            incident = make_incident(device.tenant, cause=cause, object_id=str(number))
            IncidentMember.objects.create(
                incident=incident,
                device=device,
                tenant=device.tenant,
                since=at(begin / 60),
                until=at((begin + length) / 60),
            )

        [line] = report(device.tenant)

        seconds = 0.0
        points = [*ordered, (9_001, ("online", ""))]
        state = ("online", "")
        begin = -3_001
        for second, following in points:
            if state[0] != "online":
                seconds += max(0, min(second, 6_000) - max(begin, 0))
            begin, state = second, following
        total = sum(line["lost_minutes"].values())
        assert total == pytest.approx(seconds / 60)
        assert (1 - line["availability"]) * line["active_minutes"] == pytest.approx(
            total
        )

    adds_up()
