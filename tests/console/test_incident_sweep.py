"""The sweep opens incidents for what lasts, and closes them when it is gone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from console.choices import IncidentStatus
from console.models import Incident, IncidentEvent, IncidentInterval, IncidentMember
from console.services.incidents.sweep import sweep_incidents_across_tenants
from registry.choices import DeviceKind, Lifecycle
from registry.models import Device, Site
from state.models import AdapterPath, MaintenancePlace, MaintenanceWindow, Twin
from tests.console.incidents import come_online, fall_silent, raise_alarm
from tests.factories import DeviceFactory, ProductFactory, SiteFactory

pytestmark = pytest.mark.django_db
NOW = datetime.now(UTC)
MINUTE = timedelta(minutes=1)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def sweep(seconds: float = 60) -> list[tuple[str, str]]:
    """Sweep at this time; return (cause, object) of what is open."""
    sweep_incidents_across_tenants(now=later(seconds))
    rows = Incident.objects.exclude(status=IncidentStatus.RESOLVED).order_by("pk")
    return [(row.cause, row.object_id) for row in rows]


def devices_at(site: Site, count: int, **given: Any) -> list[Device]:
    values = {"tenant": site.tenant, "site": site, **given}
    values.setdefault("product", ProductFactory.create(tenant=site.tenant))
    made = [DeviceFactory.create(**values) for _ in range(count)]
    come_online(made, at=NOW - timedelta(days=1))
    return made


def children_of_a_gateway(count: int, site: Site | None = None) -> list[Device]:
    """Return a gateway and its children."""
    [gateway] = devices_at(
        site or SiteFactory.create(slug="hall"), 1, kind=DeviceKind.GATEWAY
    )
    given = {"kind": DeviceKind.CHILD, "gateway": gateway, "product": gateway.product}
    return [gateway, *devices_at(gateway.site, count, **given)]


def test_a_lost_device_is_an_incident_after_a_while_and_until_it_is_back() -> None:
    [device] = devices_at(SiteFactory.create(), 1, uid="d-1")
    fall_silent([device], at=NOW)

    assert sweep(20) == []
    assert sweep(45) == [("device", "d-1")]
    assert sweep(50) == [("device", "d-1")]
    incident = Incident.objects.get()
    assert incident.title == "d-1 does not answer: silent for 5 intervals"
    assert (incident.first_evidence_at, incident.number) == (NOW, 1)
    come_online([device], at=later(100))
    assert sweep(100) == [("device", "d-1")]
    assert sweep(125) == []

    incident.refresh_from_db()
    assert incident.resolved_at == later(125)
    kinds = list(IncidentEvent.objects.order_by("pk").values_list("kind", flat=True))
    assert kinds == ["opened", "resolved"]
    assert IncidentMember.objects.get().until == later(100)
    assert IncidentInterval.objects.get().until == later(100)


def test_back_within_an_hour_it_is_the_same_incident() -> None:
    [device] = devices_at(SiteFactory.create(), 1)
    for begin, again in ((0, False), (600, True), (5000, False)):
        fall_silent([device], at=later(begin))
        sweep(begin + 45)
        incident = Incident.objects.latest("pk")
        assert incident.regressed is again
        come_online([device], at=later(begin + 60))
        sweep(begin + 60)
        sweep(begin + 90)

    assert Incident.objects.count() == 2
    first = Incident.objects.earliest("pk")
    assert IncidentInterval.objects.filter(incident=first).count() == 2


def test_500_alarms_of_one_dead_gateway_are_one_incident() -> None:
    family = children_of_a_gateway(12)
    devices_at(family[0].site, 20)
    fall_silent(family[:1], at=NOW, cause="last_will")
    fall_silent(family[1:], at=later(2), cause="gateway_offline", connectivity="stale")
    for number, device in enumerate(family[1:]):
        for code in range(5):
            raise_alarm(device, at=later(number), code=f"code-{code}")

    for seconds in range(0, 70, 5):
        found = sweep(seconds)

    assert found == [("gateway", family[0].uid)]
    incident = Incident.objects.get()
    assert (incident.device_count, incident.alarm_count) == (13, 60)
    assert incident.severity == "critical"


def test_an_outage_of_a_site_absorbs_what_was_opened_before_it() -> None:
    site = SiteFactory.create(slug="hall", name="Hall")
    devices = devices_at(site, 8)
    devices_at(SiteFactory.create(tenant=site.tenant), 10)
    fall_silent(devices[:2], at=NOW)
    assert len(sweep(45)) == 2
    fall_silent(devices[2:6], at=later(50))

    assert sweep(65) == [("site", "hall")]

    wide = Incident.objects.get(cause="site")
    narrow = Incident.objects.filter(cause="device")
    assert [row.absorbed_by for row in narrow] == [wide, wide]
    assert wide.device_count == 6
    assert wide.first_evidence_at == NOW
    come_online(devices[:5], at=later(100))
    # Too few are left for the site; the last one is lost by itself.
    assert sweep(100) == [("site", "hall"), ("device", devices[5].uid)]
    assert sweep(130) == [("device", devices[5].uid)]


@pytest.mark.parametrize("why", ["maintenance", "lifecycle", "never", "goodbye"])
def test_what_is_no_trouble_opens_nothing(why: str) -> None:
    [device] = devices_at(SiteFactory.create(), 1)
    cause = {"never": "never_connected", "goodbye": "goodbye"}.get(why, "last_will")
    fall_silent([device], at=NOW, cause=cause)
    if why == "maintenance":
        put_into_work(device)
    if why == "lifecycle":
        Device.objects.update(lifecycle=Lifecycle.IN_REPAIR)

    assert sweep() == []


def put_into_work(device: Device) -> MaintenancePlace:
    span = {"from_at": NOW - MINUTE, "until": NOW + timedelta(days=1)}
    window = MaintenanceWindow.objects.create(
        tenant=device.tenant, reason="work", **span
    )
    return MaintenancePlace.objects.create(
        tenant=device.tenant, window=window, device=device, **span
    )


def test_maintenance_stops_the_clock_and_closes_nothing() -> None:
    [device] = devices_at(SiteFactory.create(), 1)
    fall_silent([device], at=NOW)
    sweep(60)
    place = put_into_work(device)
    assert len(sweep(120)) == 1
    sweep(125)
    assert IncidentInterval.objects.get().until == later(120)
    place.delete()

    assert len(sweep(300)) == 1

    clock = IncidentInterval.objects.order_by("pk").values_list("from_at", "until")
    assert list(clock) == [(NOW, later(120)), (later(300), None)]


def test_blindness_is_the_platforms_and_ends_no_other_incident() -> None:
    devices = devices_at(SiteFactory.create(), 8)
    fall_silent(devices[:1], at=NOW)
    sweep(45)

    fall_silent(devices, at=later(60), cause="platform_blind", connectivity="stale")

    assert sweep(90) == [("device", devices[0].uid)]
    assert sweep(110) == [("device", devices[0].uid), ("platform", "platform")]
    come_online(devices, at=later(200))
    sweep(200)
    assert sweep(225) == []


def test_drift_of_an_online_device_is_an_incident() -> None:
    [device] = devices_at(SiteFactory.create(), 1, uid="d-1")
    twin = {"desired": {"a": 1}, "delta": {"a": {"desired": 1, "reported": 2}}}
    Twin.objects.create(
        device=device,
        tenant=device.tenant,
        desired_at=NOW,
        reported_at=later(1),
        **twin,
    )

    assert sweep() == [("drift", "d-1")]


def test_a_slow_adapter_is_an_incident_of_each_tenant_on_it() -> None:
    for _ in range(2):
        devices_at(SiteFactory.create(), 1)
    path = AdapterPath.objects.create(
        adapter="mqtt", at=NOW, tries=40, unanswered=30, usual_p95_ms=100
    )

    assert sweep() == [("adapter", "mqtt")] * 2
    path.unanswered = 0
    path.save()
    sweep(70)
    assert sweep(100) == []


def test_troubles_of_single_devices_are_no_part_of_a_slow_adapter() -> None:
    site = SiteFactory.create()
    halls = [site, SiteFactory.create(tenant=site.tenant)]
    troubled = [device for hall in halls for device in devices_at(hall, 10)[:3]]
    AdapterPath.objects.create(
        adapter="mqtt", at=NOW, tries=40, unanswered=30, usual_p95_ms=100
    )
    assert sweep() == [("adapter", "mqtt")]

    for device in troubled:
        raise_alarm(device, at=later(60))

    own = [("device", device.uid) for device in troubled]
    assert sweep(110) == [("adapter", "mqtt"), *own]


def test_sweeping_again_changes_nothing() -> None:
    devices = [*children_of_a_gateway(6), *devices_at(SiteFactory.create(), 2)]
    fall_silent(devices, at=NOW)
    sweep(60)
    before = list(Incident.objects.order_by("pk").values())
    events = IncidentEvent.objects.count()

    for _ in range(100):
        sweep(61)

    assert list(Incident.objects.order_by("pk").values()) == before
    assert IncidentEvent.objects.count() == events


def test_a_sweep_costs_no_query_a_device() -> None:
    costs = []
    # The first one finds no incident of another site.
    for count in (6, 6, 18):
        devices = devices_at(SiteFactory.create(), count)
        fall_silent(devices, at=NOW)
        with CaptureQueriesContext(connection) as captured:
            sweep(60)
        costs.append(len(captured))

    assert costs[2] <= costs[1]


@pytest.mark.django_db(transaction=True)
def test_several_workers_open_each_incident_once() -> None:
    fall_silent(devices_at(SiteFactory.create(), 4), at=NOW)
    start = Barrier(4)

    def run() -> None:
        start.wait()
        sweep_incidents_across_tenants(now=later(60))
        connection.close()

    threads = [Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Incident.objects.count() == 4
    assert IncidentEvent.objects.count() == 4
