"""The diagnosis from real rows over REST, with feedback of people on site."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now
from rest_framework.test import APIClient

from registry.models import Device, Site, Tenant
from state.models import (
    AdapterPath,
    Alarm,
    BlindSpan,
    CommandTally,
    FieldFeedback,
    Presence,
)
from state.selectors.diagnosis import diagnose_set
from tests.factories import (
    BatchFactory,
    DeviceFactory,
    MembershipFactory,
    ProductFactory,
    SiteFactory,
    TenantFactory,
)

pytestmark = pytest.mark.django_db


def put(devices: list[Device], connectivity: str = "online", cause: str = "") -> None:
    """Store a presence that is ten minutes old for these devices."""
    Presence.objects.filter(device__in=devices).delete()
    Presence.objects.bulk_create(
        Presence(
            device=device,
            tenant=device.tenant,
            connectivity=connectivity,
            cause=cause,
            since=now() - timedelta(minutes=10),
            last_seen_at=now() - timedelta(minutes=20),
            last_activity_at=now() - timedelta(minutes=20),
        )
        for device in devices
    )


class Fleet:
    """Return two sites, each with a gateway, its 6 children, and 6 other devices."""

    def __init__(self) -> None:
        self.tenant: Tenant = TenantFactory.create()
        self.product = ProductFactory.create(tenant=self.tenant)
        self.sites: list[Site] = SiteFactory.create_batch(2, tenant=self.tenant)
        self.gateways = [self.make(site, kind="gateway") for site in self.sites]
        self.children = [
            [self.make(g.site, kind="child", gateway=g) for _ in range(6)]
            for g in self.gateways
        ]
        self.others = [[self.make(site) for _ in range(6)] for site in self.sites]
        put(list(Device.objects.filter(tenant=self.tenant)))

    def make(self, site: Site, **known: Any) -> Device:
        made: Device = DeviceFactory.create(
            tenant=self.tenant, site=site, product=self.product, **known
        )
        return made

    def client(self, role: str = "operator") -> APIClient:
        client = APIClient()
        member = MembershipFactory.create(tenant=self.tenant, role=role)
        client.force_authenticate(member.user)
        return client

    def diagnosis(self, device: Device) -> Any:
        answer = self.client().get(f"/api/v1/devices/{device.uid}/state/")
        assert answer.status_code == 200
        return answer.json()["diagnosis"]


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


def test_a_healthy_device_has_no_diagnosis(fleet: Fleet) -> None:
    assert fleet.diagnosis(fleet.others[0][0]) is None


def test_one_lost_device_among_healthy_neighbours_is_the_devices_fault(
    fleet: Fleet,
) -> None:
    lost = fleet.others[0][0]
    put([lost], "offline", "last_will")

    found = fleet.diagnosis(lost)

    assert found["verdict"] == "device"
    assert 0.5 < found["confidence"] <= 1
    (site,) = [row for row in found["evidence"] if row["name"] == "site"]
    assert (site["value"], site["affected"], site["total"]) == (lost.site.slug, 0, 12)
    assert (site["rest_affected"], site["rest_total"]) == (0, 13)


def test_children_blame_their_lost_gateway_and_the_gateway_blames_itself(
    fleet: Fleet,
) -> None:
    put([fleet.gateways[0]], "offline", "missed_heartbeats")
    put(fleet.children[0], "stale", "gateway_offline")

    child, gateway = (
        fleet.diagnosis(device) for device in (fleet.children[0][0], fleet.gateways[0])
    )

    assert (child["verdict"], child["where"]) == ("network", "gateway")
    assert gateway["verdict"] == "device"


def test_a_site_without_connection_is_the_networks_fault(fleet: Fleet) -> None:
    put([*fleet.others[1], fleet.gateways[1]], "offline", "last_will")
    put(fleet.children[1], "stale", "gateway_offline")

    found = [fleet.diagnosis(fleet.others[1][2]), fleet.diagnosis(fleet.children[1][2])]

    assert [(row["verdict"], row["where"]) for row in found] == [
        ("network", "site")
    ] * 2


def test_a_failing_adapter_path_is_known_from_the_command_plane(fleet: Fleet) -> None:
    over_http = [pair[0] for pair in fleet.others] + [fleet.others[0][1]]
    Device.objects.filter(pk__in=[d.pk for d in over_http]).update(adapter="http")
    CommandTally.objects.bulk_create(
        CommandTally(
            device=d,
            tenant=d.tenant,
            ended=5,
            failed=4,
            last_failed_at=now(),
            at=now(),
        )
        for d in over_http
    )
    AdapterPath.objects.create(adapter="http", at=now(), tries=40, unanswered=30)

    found = fleet.diagnosis(over_http[0])

    assert (found["verdict"], found["trouble"]) == ("adapter_path", "commands")
    assert found["window"] == "within the last 24 hours"
    assert any(
        "30 of 40 commands over HTTP had no answer" in row["text"]
        for row in found["evidence"]
    )


def test_while_the_platform_is_blind_it_blames_itself(fleet: Fleet) -> None:
    lost = fleet.others[0][0]
    put([lost], "stale", "platform_blind")
    assert fleet.diagnosis(lost)["verdict"] == "platform"

    put([lost], "suspect", "missed_heartbeat")
    BlindSpan.objects.create(
        slot=1,
        from_at=now() - timedelta(minutes=15),
        to_at=now() - timedelta(minutes=5),
    )
    assert fleet.diagnosis(lost)["verdict"] == "platform"

    BlindSpan.objects.update(
        from_at=now() - timedelta(minutes=18),
        to_at=now() - timedelta(minutes=15),
    )
    assert fleet.diagnosis(lost)["verdict"] == "device"


def test_feedback_that_contradicts_our_judgment_blames_our_interpretation(
    fleet: Fleet,
) -> None:
    lost, online = fleet.others[0][0], fleet.others[0][1]
    put([lost], "offline", "last_will")
    client = fleet.client()

    for device, seen in ((lost, "works_fine"), (online, "dead")):
        body = {"observation": seen, "note": "I stand before it"}
        answer = client.post(
            f"/api/v1/devices/{device.uid}/feedback/", body, format="json"
        )
        assert answer.status_code == 201
        assert answer.json()["observation"] == seen

    for device in (lost, online):
        found = fleet.diagnosis(device)
        assert (found["verdict"], found["where"]) == ("interpretation", "feedback")
    timeline = client.get(f"/api/v1/devices/{lost.uid}/timeline/").json()["results"]
    (entry,) = [row for row in timeline if row["kind"] == "feedback"]
    assert entry["title"] == "People on site report: works fine"
    assert entry["cause"] == "I stand before it"


def test_feedback_from_before_the_trouble_is_ignored(fleet: Fleet) -> None:
    lost = fleet.others[0][0]
    put([lost], "offline", "last_will")
    FieldFeedback.objects.create(
        tenant=lost.tenant,
        device=lost,
        at=now() - timedelta(minutes=11),
        observation="works_fine",
    )

    assert fleet.diagnosis(lost)["verdict"] == "device"


def test_feedback_for_an_earlier_owner_is_not_shown(fleet: Fleet) -> None:
    online = fleet.others[0][0]
    FieldFeedback.objects.create(
        tenant=TenantFactory.create(),
        device=online,
        at=now(),
        observation="dead",
    )

    assert fleet.diagnosis(online) is None


@pytest.mark.parametrize("lifecycle", ["retired", "replaced"])
def test_a_device_out_of_service_has_no_diagnosis(fleet: Fleet, lifecycle: str) -> None:
    gone = fleet.others[0][0]
    put([gone], "offline", "last_will")
    Device.objects.filter(pk=gone.pk).update(lifecycle=lifecycle)
    FieldFeedback.objects.create(
        tenant=gone.tenant, device=gone, at=now(), observation="works_fine"
    )

    assert fleet.diagnosis(gone) is None
    assert diagnose_set(fleet.tenant, [gone.pk]) is None


def test_a_contradiction_names_the_condition_that_we_judge(fleet: Fleet) -> None:
    signed_off = fleet.others[0][0]
    put([signed_off], "offline", "goodbye")
    FieldFeedback.objects.create(
        tenant=signed_off.tenant,
        device=signed_off,
        at=now(),
        observation="works_fine",
    )

    text = fleet.diagnosis(signed_off)["text"]

    assert text == "people on site report “works fine”, but we judge “offline”"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "observation"),
        ({"observation": "fine"}, "observation"),
        ({"observation": "dead", "note": "x" * 3_000}, "note"),
        ({"observation": ["dead"]}, "observation"),
    ],
)
def test_invalid_feedback_is_refused_with_its_field(
    fleet: Fleet, body: dict[str, Any], field: str
) -> None:
    url = f"/api/v1/devices/{fleet.others[0][0].uid}/feedback/"

    answer = fleet.client().post(url, body, format="json")

    assert answer.status_code == 400
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert [row["field"] for row in answer.json()["errors"]] == [field]
    assert not FieldFeedback.objects.exists()


def test_only_operators_of_the_devices_tenant_may_give_feedback(
    fleet: Fleet,
) -> None:
    url = f"/api/v1/devices/{fleet.others[0][0].uid}/feedback/"
    stranger = APIClient()
    stranger.force_authenticate(MembershipFactory.create().user)
    body = {"observation": "dead"}

    assert stranger.post(url, body, format="json").status_code == 404
    assert fleet.client("viewer").post(url, body, format="json").status_code == 403
    assert APIClient().post(url, body, format="json").status_code == 401


def test_a_batch_that_fails_on_every_site_is_named(fleet: Fleet) -> None:
    batch = BatchFactory.create(
        hardware_revision__product=fleet.product,
        hardware_revision__tenant=fleet.tenant,
        tenant=fleet.tenant,
    )
    revision = batch.hardware_revision
    bad = [*fleet.others[0][:3], *fleet.others[1][:3]]
    pks = [device.pk for device in bad]
    rows = Device.objects.filter(pk__in=pks)
    rows.update(hardware_revision=revision, batch=batch)
    others = Device.objects.filter(tenant=fleet.tenant).exclude(pk__in=pks)
    others.update(hardware_revision=revision)
    put(bad, "offline", "last_will")

    one, of_set = fleet.diagnosis(bad[0]), diagnose_set(fleet.tenant, pks)

    for found in (one, of_set):
        assert (found["verdict"], found["where"]) == ("device", "batch")
        [row] = [row for row in found["evidence"] if row["name"] == "batch"]
        assert row["value"] == batch.slug
    assert one["text"] == (
        "5 of 5 devices with the same batch are affected, elsewhere 0 of 20"
    )


def test_a_diagnosis_names_the_time_in_which_it_counts(fleet: Fleet) -> None:
    lost, flapping, alarmed = fleet.others[0][:3]
    put([lost], "offline", "last_will")
    Presence.objects.filter(device=flapping).update(disconnects_72h=3)
    Alarm.objects.create(
        device=alarmed,
        tenant=alarmed.tenant,
        code="hot",
        severity="critical",
        raised_at=now(),
        last_at=now(),
    )

    windows = [fleet.diagnosis(d)["window"] for d in (lost, flapping, alarmed)]

    assert windows == [
        "now, or within the last hour",
        "within the last 72 hours",
        "now",
    ]


def test_a_set_is_diagnosed_by_the_traits_of_its_affected_devices(fleet: Fleet) -> None:
    put([*fleet.others[1], fleet.gateways[1]], "offline", "last_will")
    lost = [device.pk for device in fleet.others[1]]

    found = diagnose_set(fleet.tenant, lost)

    assert (found["verdict"], found["where"]) == ("network", "site")
    assert diagnose_set(fleet.tenant, [fleet.others[0][0].pk]) is None
    assert diagnose_set(fleet.tenant, []) is None


def test_a_diagnosis_takes_the_same_few_queries_for_any_fleet(
    fleet: Fleet, django_assert_max_num_queries: Any
) -> None:
    put([fleet.others[0][0]], "offline", "last_will")
    client = fleet.client()

    with django_assert_max_num_queries(20):
        client.get(f"/api/v1/devices/{fleet.others[0][0].uid}/state/")
