"""Standing policies: who joins a cohort gets what they want, and keeps what is his."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from commands.models import Command
from commands.services.sweeps import expire_queued_across_tenants
from fleet.models import (
    Cohort,
    PolicyCompliance,
    PolicyMember,
    StandingPolicy,
)
from fleet.selectors.policies import MOST_TRIES, compliance_of
from fleet.services import policy_sweep
from fleet.services.indexing import Indexer
from fleet.services.policy_sweep import (
    KEPT,
    LOOK_EVERY,
    apply_policies_across_tenants,
    forget_compliance_across_tenants,
    record_compliance_across_tenants,
)
from registry.choices import Lifecycle, Role
from registry.models import Device, Membership, MembershipLimit
from state.models import Twin
from tests.commands.units import Unit, ask, deliver
from tests.factories import DeviceFactory, SiteFactory
from tests.fleet.test_api import Caller

pytestmark = pytest.mark.django_db

POLICIES = "standing-policies/"


class World:
    """Devices of one tenant with the tag of a cohort, and an operator."""

    def __init__(self, indexer: Indexer) -> None:
        self.indexer = indexer
        self.at = timezone.now()
        first = DeviceFactory.create(uid="d-0", tags=["cold"], site__slug="hall")
        self.tenant, self.site, self.product = first.tenant, first.site, first.product
        self.operator = Caller(Role.OPERATOR, first)
        self.cohort = self.save_cohort("tag:cold")
        self.units = {"d-0": Unit(first)}
        self.add("d-1")

    def save_cohort(self, query: str) -> str:
        body = {"name": query, "query": query}
        return str(self.operator.send("post", "cohorts/", body, 201)["id"])

    def add(self, uid: str, **fields: Any) -> Unit:
        own: dict[str, Any] = {"tenant": self.tenant, "site": self.site}
        own.update({"product": self.product, "uid": uid, "tags": ["cold"]} | fields)
        self.units[uid] = Unit(DeviceFactory.create(**own))
        self.indexer.drain()
        return self.units[uid]

    def policy(self, status: int = 201, **fields: Any) -> Any:
        body = {"name": "Cold", "cohort": self.cohort, **fields}
        return self.operator.send("post", POLICIES, body, status)

    def change(self, policy: Any, **fields: Any) -> Any:
        return self.operator.send("patch", f"{POLICIES}{policy['id']}/", fields, 200)

    def shown(self, policy: Any) -> Any:
        return self.operator.get(f"{POLICIES}{policy['id']}/")

    def sweep(self, *, after: timedelta = LOOK_EVERY) -> int:
        """Let a sweep run, with a look at the cohorts."""
        self.at = max(self.at + after, timezone.now())
        return apply_policies_across_tenants(now=self.at)

    def report(self, uid: str, document: dict[str, Any]) -> None:
        """Let a device report all that it should have, and this."""
        unit = self.units[uid]
        twin = Twin.objects.filter(device=unit.device).first()
        version = twin.reported_version + 1 if twin else 1
        unit.report(version, document)


@pytest.fixture
def world(indexer: Indexer) -> World:
    return World(indexer)


def desired_of(uid: str) -> Any:
    return Twin.objects.get(device__uid=uid).desired


def test_the_devices_of_the_cohort_get_it_and_so_do_newcomers(world: World) -> None:
    policy = world.policy(desired={"led": "on"})

    assert world.sweep() == 2
    world.add("d-2")
    world.add("far", tags=[])
    assert world.sweep() == 1
    assert world.sweep() == 0

    assert desired_of("d-2") == {"led": "on"}
    assert not Command.objects.filter(device__uid="far").exists()
    commands = Command.objects.order_by("device__uid")
    assert [(row.name, row.params) for row in commands] == [
        ("set_config", {"led": "on"})
    ] * 3
    asked = Twin.objects.get(device__uid="d-2").desired_asks["/led"]
    assert (asked["by"], asked["who"]) == ("policy", "Cold")
    assert world.shown(policy)["compliance"] == {
        "total": 3,
        "compliant": 0,
        "overruled": 0,
    }


def test_a_policy_counts_the_devices_that_report_what_it_wants(world: World) -> None:
    policy = world.policy(desired={"net": {"apn": "x"}, "ratio": 0.1})
    world.sweep()

    world.report("d-0", {"net": {"apn": "x", "port": 1}, "ratio": 0.10000000149})
    world.report("d-1", {"net": {"apn": "x", "port": 1}, "ratio": 0.2})

    assert world.shown(policy)["compliance"]["compliant"] == 1
    [listed] = world.operator.get(POLICIES)["results"]
    assert listed["compliance"]["compliant"] == 1


def test_variables_are_filled_in_for_each_device(world: World) -> None:
    world.policy(
        desired={
            "topic": "{{ tenant.slug }}/{{site.slug}}/{{ device.uid }}",
            "list": ["{{ product.slug }}", 5],
        }
    )

    world.sweep()

    slug, product = world.tenant.slug, world.product.slug
    assert desired_of("d-1") == {
        "topic": f"{slug}/hall/d-1",
        "list": [product, 5],
    }
    Device.objects.filter(uid="d-1").update(
        site=SiteFactory.create(tenant=world.tenant, slug="yard"),
        updated_at=timezone.now() + timedelta(seconds=1),
    )
    world.sweep()
    assert desired_of("d-1")["topic"] == f"{slug}/yard/d-1"
    assert desired_of("d-0")["topic"] == f"{slug}/hall/d-0"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"desired": {"a": "{{ device.owner }}"}}, "desired.a"),
        ({"desired": {"a": {"b": ["{{ secret }}"]}}}, "desired.a.b.0"),
        ({"desired": {"a": "{{ device.uid }} {{ 7*7 }}"}}, "desired.a"),
        ({"desired": {"a": None}}, "desired.a"),
        ({"desired": {}}, "desired"),
        ({"desired": {"a": 1}, "release": "1.0"}, "desired"),
        ({}, "desired"),
        ({"release": "9.9.9"}, "release"),
        ({"desired": {"a": 1}, "cohort": "x"}, "cohort"),
        ({"desired": {"a": 1}, "name": " "}, "name"),
        ({"desired": {"a": 1}, "rate_per_minute": 0}, "rate_per_minute"),
        ({"desired": {"a": 1}, "nonsense": 0}, "nonsense"),
    ],
)
def test_a_wrong_policy_is_refused_by_its_field(
    world: World, fields: dict[str, Any], field: str
) -> None:
    refused = world.policy(400, **fields)

    assert field in [row["field"] for row in refused["errors"]]
    assert not StandingPolicy.objects.exists()


def test_an_unknown_variable_is_named(world: World) -> None:
    refused = world.policy(400, desired={"a": "{{ device.owner }}"})

    assert "'device.owner'" in refused["errors"][0]["message"]


def test_no_more_than_the_rate_get_it_in_a_minute(world: World) -> None:
    for number in range(2, 7):
        world.add(f"d-{number}")
    world.policy(desired={"led": "on"}, rate_per_minute=3)

    sent = [world.sweep(after=timedelta(seconds=25)) for _ in range(8)]

    assert sum(sent) == 7
    assert sent[:3] == [3, 0, 0]
    assert max(sum(sent[at : at + 3]) for at in range(6)) <= 3


def test_a_persons_later_change_wins_and_is_counted(world: World) -> None:
    policy = world.policy(desired={"led": "on", "interval": 30})
    ask(world.units["d-0"], "set_config", {"led": "off"})  # before the first sweep

    world.sweep()
    ask(world.units["d-1"], "set_config", {"interval": 5})  # and after it
    world.sweep()

    assert desired_of("d-0") == {"led": "off", "interval": 30}
    assert desired_of("d-1") == {"led": "on", "interval": 5}
    assert world.shown(policy)["compliance"]["overruled"] == 2


def test_what_people_asked_before_the_policy_gives_way(world: World) -> None:
    ask(world.units["d-0"], "set_config", {"led": "off", "own": 1})
    world.policy(desired={"led": "on"})

    world.sweep()

    assert desired_of("d-0") == {"led": "on", "own": 1}


def test_priority_decides_between_two_policies_and_the_loser_is_shown(
    world: World,
) -> None:
    low = world.policy(name="Low", desired={"led": "low", "net": {"a": 1}}, priority=1)
    world.sweep()
    assert desired_of("d-0")["led"] == "low"
    only = world.save_cohort("uid:d-0")
    high = world.policy(name="High", cohort=only, desired={"led": "high"}, priority=9)

    world.sweep()
    world.sweep()

    assert desired_of("d-0") == {"led": "high", "net": {"a": 1}}
    assert desired_of("d-1") == {"led": "low", "net": {"a": 1}}
    shown = world.shown(low)
    assert shown["compliance"]["overruled"] == 1
    assert shown["overruled_by"] == [{"key": "led", "by": "High", "count": 1}]
    assert world.shown(high)["compliance"]["overruled"] == 0

    # Without the winner, the loser gets its key.
    world.change(high, enabled=False)
    world.sweep()
    assert desired_of("d-0")["led"] == "low"
    assert world.shown(low)["compliance"]["overruled"] == 0


def test_a_switched_off_policy_sends_nothing(world: World) -> None:
    policy = world.policy(desired={"led": "on"}, enabled=False)

    assert world.sweep() == 0
    world.change(policy, enabled=True)
    assert world.sweep() == 2


def test_a_changed_policy_is_sent_again(world: World) -> None:
    policy = world.policy(desired={"led": "on"})
    world.sweep()

    changed = world.change(policy, desired={"led": "off"}, name="Dark")

    assert (changed["name"], changed["desired"]) == ("Dark", {"led": "off"})
    assert world.sweep() == 2
    assert desired_of("d-0") == {"led": "off"}


def test_who_has_it_already_gets_no_command_until_it_differs(world: World) -> None:
    world.report("d-0", {"led": "on"})
    policy = world.policy(desired={"led": "on"})

    assert world.sweep() == 1
    assert not Command.objects.filter(device__uid="d-0").exists()
    assert world.shown(policy)["compliance"]["compliant"] == 1
    world.report("d-0", {"led": "off"})
    assert world.sweep() == 1


def test_devices_that_take_no_commands_do_not_count(world: World) -> None:
    world.add("old", lifecycle=Lifecycle.RETIRED)
    policy = world.policy(desired={"led": "on"})

    world.sweep()

    assert world.shown(policy)["compliance"]["total"] == 2


def test_a_product_that_does_not_know_the_keys_is_named(world: World) -> None:
    world.product.config_schema = {"additionalProperties": False}
    world.product.save()
    policy = world.policy(desired={"led": "on"})

    assert world.sweep() == 0

    [row] = world.shown(policy)["not_sent"]
    assert row["reason"] == "desired.led: Is not known."
    assert (row["count"], row["devices"]) == (2, ["d-0", "d-1"])


def test_a_release_goes_to_the_devices_that_it_is_made_for(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, settings: Any
) -> None:
    settings.MEDIA_ROOT = tmp_path
    manager = Caller(Role.MANAGER, world.units["d-0"].device)
    from io import BytesIO

    file = BytesIO(b"new")
    file.name = "new.bin"
    made = manager.client.post(
        "/api/v1/firmware-releases/",
        {"version": "2.0.0", "products": world.product.slug, "file": file},
        format="multipart",
    )
    assert made.status_code == 201, made.content
    other = DeviceFactory.create(
        uid="other", tenant=world.tenant, site=world.site, tags=["cold"]
    )
    world.indexer.drain()
    policy = world.policy(release=made.json()["id"])
    world.report("d-1", {"firmware": "2.0.0"})

    assert world.sweep() == 1

    command = Command.objects.get()
    assert (command.name, command.device.uid) == ("update_firmware", "d-0")
    assert command.params == {"version": "2.0.0"}
    shown = world.shown(policy)
    assert (shown["release"], shown["version"]) == (made.json()["id"], "2.0.0")
    assert shown["compliance"]["compliant"] == 1
    assert shown["not_sent"][0]["devices"] == [other.uid]


def test_a_failed_update_is_sent_again_some_times_and_is_then_a_work_item(
    world: World,
) -> None:
    policy = world.policy(desired={"led": "on"})
    world.sweep()
    world.report("d-0", {"led": "on"})
    unit, pauses = world.units["d-1"], [10, 20, 40, 80]
    own = Command.objects.filter(device=unit.device).order_by("pk")

    def let_it_expire() -> None:
        last = own.last()
        assert last is not None
        Command.objects.filter(pk=last.pk).update(expires_at=world.at)
        expire_queued_across_tenants(now=world.at)

    for number, minutes in enumerate(pauses, start=1):
        let_it_expire()
        [failing] = world.shown(policy)["failing"]
        assert failing["reason"].startswith(f"expired: sent {number} of {MOST_TRIES}")
        assert failing["devices"] == ["d-1"]
        assert world.sweep(after=timedelta(minutes=minutes - 1)) == 0
        assert world.sweep(after=timedelta(minutes=1)) == 1
    let_it_expire()

    assert own.count() == MOST_TRIES
    assert [row.needs_person for row in own] == [False] * 4 + [True]
    assert world.sweep(after=timedelta(days=1)) == 0
    [failing] = world.shown(policy)["failing"]
    assert failing["reason"] == "expired: a person must look at it"


def test_a_failure_that_a_person_has_already_is_not_sent_again(world: World) -> None:
    policy = world.policy(desired={"led": "on"})
    world.sweep()
    deliver(at=world.at)
    unit = world.units["d-1"]
    command = Command.objects.get(device=unit.device)

    unit.result(command, "failed", reason="no such led", at=world.at)

    assert world.sweep(after=timedelta(days=1)) == 0
    [failing] = world.shown(policy)["failing"]
    assert failing["reason"] == "execution failed: a person must look at it"
    world.change(policy, desired={"led": "off"})
    assert world.sweep() == 2


def test_a_failed_update_that_the_device_has_by_now_is_not_sent_again(
    world: World,
) -> None:
    world.policy(desired={"led": "on"})
    world.sweep()
    Command.objects.update(expires_at=world.at)
    expire_queued_across_tenants(now=world.at)
    for uid in world.units:
        world.report(uid, {"led": "on"})

    assert world.sweep(after=timedelta(days=1)) == 0


def test_compliance_is_recorded_when_it_changes(world: World) -> None:
    policy = world.policy(desired={"led": "on"})
    world.sweep()
    deliver()
    now = timezone.now()

    def record(seconds: int) -> int:
        return record_compliance_across_tenants(now=now + timedelta(seconds=seconds))

    recorded = [record(0), record(60)]
    world.report("d-0", {"led": "on"})
    recorded += [record(120), record(180), record(7_200)]

    assert recorded == [1, 0, 1, 0, 1]
    history = PolicyCompliance.objects.order_by("at")
    assert [row.compliant for row in history] == [0, 1, 1]
    assert len(world.shown(policy)["history"]) == 3
    assert forget_compliance_across_tenants(now=now + KEPT + timedelta(days=1)) == 3


def test_the_compliance_of_all_policies_is_counted_by_one_statement(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, desired in (("Led", {"led": "on"}), ("Fan", {"fan": "off"})):
        world.policy(name=name, desired=desired)
    world.sweep()
    world.report("d-0", {"led": "on"})
    counted: list[int] = []

    def counting(policies: Any) -> Any:
        counted.append(len(policies))
        return compliance_of(policies)

    monkeypatch.setattr(policy_sweep, "compliance_of", counting)
    recorded = record_compliance_across_tenants(now=timezone.now())

    assert (recorded, counted) == (2, [2])
    rows = PolicyCompliance.objects.order_by("policy__name")
    assert [(row.total, row.compliant) for row in rows] == [(2, 0), (2, 1)]


def test_a_cohort_with_a_policy_cannot_be_deleted(world: World) -> None:
    policy = world.policy(desired={"led": "on"})
    world.sweep()

    world.operator.send("delete", f"cohorts/{world.cohort}/", {}, 409)
    world.operator.send("delete", f"{POLICIES}{policy['id']}/", {}, 204)
    world.operator.send("delete", f"cohorts/{world.cohort}/", {}, 204)

    assert not PolicyMember.objects.exists()
    assert not Cohort.objects.exists()
    assert desired_of("d-0") == {"led": "on"}


def test_only_operators_of_the_whole_tenant_change_policies(world: World) -> None:
    policy = world.policy(desired={"led": "on"})
    world.sweep()
    device = world.units["d-0"].device
    viewer, limited = Caller(Role.VIEWER, device), Caller(Role.OPERATOR, device)
    MembershipLimit.objects.create(
        membership=Membership.objects.get(user=limited.user),
        tenant=world.tenant,
        site=world.site,
    )
    body = {"name": "Mine", "cohort": world.cohort, "desired": {"a": 1}}

    for caller in (viewer, limited):
        caller.send("post", POLICIES, body, 403)
        caller.send("patch", f"{POLICIES}{policy['id']}/", {"enabled": False}, 403)
        caller.send("delete", f"{POLICIES}{policy['id']}/", {}, 403)

    assert viewer.get(f"{POLICIES}{policy['id']}/")["compliance"]["total"] == 2
    hidden = limited.get(f"{POLICIES}{policy['id']}/")
    assert (hidden["compliance"], hidden["not_sent"]) == (None, [])


def test_a_sweep_takes_the_same_statements_for_any_number(world: World) -> None:
    world.policy(desired={"id": "{{ device.uid }}"})
    counts = []
    for size in (3, 30):
        for number in range(size):
            world.add(f"s-{size}-{number}")
        at: datetime = world.at
        with CaptureQueriesContext(connection) as queries:
            assert world.sweep() >= size
        assert world.at > at
        counts.append(len(queries))

    assert counts[1] <= counts[0] + 2
