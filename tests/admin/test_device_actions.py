"""Actions on selected devices: confirmed, done by the services, with a reason."""

from __future__ import annotations

from typing import Any

import pytest

from commands.definitions import DEFINITIONS
from commands.validation import complete_policy
from registry.choices import Lifecycle, Role
from registry.models import (
    AuditEntry,
    Credential,
    Device,
    LifecycleMove,
    Membership,
    Tenant,
)
from registry.services.credentials import issue_credential
from registry.services.device_rules import MAX_TAGS
from tests.admin.pages import open_page, url_of
from tests.admin.people import boss, choose, member_of, messages_of, staff_of
from tests.factories import (
    DeviceFactory,
    MembershipFactory,
    ProductFactory,
    ProjectFactory,
    SiteFactory,
    TenantFactory,
)
from tests.fleet.rows import make_command

pytestmark = pytest.mark.django_db
WHY = {"reason": "lightning"}


@pytest.fixture
def acme() -> Tenant:
    return TenantFactory(slug="acme")


@pytest.fixture
def globex() -> Tenant:
    return TenantFactory(slug="globex")


def fresh(row: Any) -> Any:
    return type(row).objects.get(pk=row.pk)


def test_a_move_is_done_with_its_reason_once_confirmed(
    acme: Tenant,
) -> None:
    device = DeviceFactory(tenant=acme)
    client = staff_of(acme, Role.MANAGER)

    asked = choose(client, "retire", device)
    without = choose(client, "retire", device, reason="")
    before = fresh(device).lifecycle
    done = choose(client, "retire", device, **WHY)

    assert "Their credentials are revoked" in asked.content.decode()
    assert device.uid in asked.content.decode()
    assert "This field is required" in without.content.decode()
    assert before == Lifecycle.ACTIVE
    assert messages_of(done) == ["1 moved to retired."]
    move = LifecycleMove.objects.get(device=device)
    assert (move.moved_to, move.reason) == ("retired", "lightning")
    assert move.actor is not None


def test_a_refurbished_unit_starts_as_provisioned(acme: Tenant) -> None:
    device = DeviceFactory(tenant=acme, lifecycle=Lifecycle.RETIRED)

    choose(boss(), "provision", device, **WHY)

    assert fresh(device).lifecycle == Lifecycle.PROVISIONED


def test_rows_chosen_across_pages_must_not_change_in_number(
    acme: Tenant,
) -> None:
    devices = [DeviceFactory(tenant=acme), DeviceFactory(tenant=acme)]
    across = {"select_across": "1", **WHY}
    client = boss()

    refused = choose(client, "retire", devices[0], **across)  # it says: 1
    unmoved = [fresh(device).lifecycle for device in devices]
    moved = choose(client, "retire", devices[0], **across | {"confirmed": 2})

    assert "There were 1 when you looked, now there are 2." in refused.content.decode()
    assert unmoved == [Lifecycle.ACTIVE] * 2
    assert messages_of(moved) == ["2 moved to retired."]


def test_tags_are_added_and_removed_and_the_log_names_the_actor(acme: Tenant) -> None:
    one = DeviceFactory(tenant=acme, tags=["summer"])
    other = DeviceFactory(tenant=acme, tags=["winter"])
    client = staff_of(acme, Role.MANAGER)

    asked = choose(client, "tag", one, other)
    done = choose(client, "tag", one, other, add="winter, north", remove="summer")

    assert "Add or remove tags" in asked.content.decode()
    assert messages_of(done) == ["2 changed."]
    assert fresh(one).tags == ["winter", "north"]
    assert fresh(other).tags == ["winter", "north"]
    entry = AuditEntry.objects.filter(kind="device", object_name=one.uid).latest("pk")
    assert entry.door == "admin"
    assert entry.after == {"tags": ["winter", "north"]}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"add": "", "remove": ""}, "Name a tag to add or to remove."),
        ({"add": "a", "remove": "a"}, "Both to add and to remove: a."),
        ({"add": "<b>"}, "&lt;b&gt;"),
        ({"add": "one-more"}, f"full would have {MAX_TAGS + 1}"),
    ],
)
def test_tags_that_cannot_be_added_to_one_device_are_refused_for_all(
    acme: Tenant, given: dict[str, str], message: str
) -> None:
    one = DeviceFactory(tenant=acme)
    full = DeviceFactory(
        tenant=acme, uid="full", tags=[f"tag-{n}" for n in range(MAX_TAGS)]
    )

    answer = choose(boss(), "tag", one, full, **given)

    assert message in answer.content.decode()
    assert fresh(one).tags == []


def test_a_device_is_replaced_and_its_successor_gets_its_place(acme: Tenant) -> None:
    old = DeviceFactory(tenant=acme, tags=["winter"], name="Pump")
    new = DeviceFactory(tenant=acme, lifecycle=Lifecycle.PROVISIONED)
    issue_credential(old)
    make_command(old, policy=complete_policy(DEFINITIONS["reboot"], None))
    client = staff_of(acme, Role.MANAGER)

    asked = choose(client, "replace", old).content.decode()
    done = choose(client, "replace", old, replaced_by=new.pk, **WHY)

    for follows in ("1 credential is revoked", "the tags winter", "1 open command it"):
        assert follows in asked
    assert messages_of(done) == [f"{new.uid} has replaced {old.uid}."]
    assert (fresh(old).lifecycle, fresh(new).lifecycle) == ("replaced", "active")
    assert (fresh(new).name, fresh(new).tags) == ("Pump", ["winter"])
    assert not Credential.objects.filter(device=old, revoked_at=None).exists()
    for device, other in ((old, new), (new, old)):
        text = open_page(client, url_of(Device, "change", device.pk)).text
        assert f'<a href="{url_of(Device, "change", other.pk)}">{other.uid}</a>' in text


def test_a_device_that_cannot_replace_another_is_refused_at_the_field(
    acme: Tenant, globex: Tenant
) -> None:
    old, theirs = DeviceFactory(tenant=acme), DeviceFactory(tenant=globex)
    gone = DeviceFactory(tenant=acme, lifecycle=Lifecycle.RETIRED)
    client = staff_of(acme, Role.MANAGER)

    tries = {
        "cannot replace itself": old,
        f"The device {gone.uid} is retired": gone,
        "not one of the available choices": theirs,
    }

    for message, unit in tries.items():
        answer = choose(client, "replace", old, replaced_by=unit.pk, **WHY)
        assert message in answer.content.decode()
    two = choose(client, "replace", old, gone)
    assert messages_of(two) == [
        "Select exactly one device: its successor takes its place."
    ]
    assert fresh(old).lifecycle == Lifecycle.ACTIVE


def goes_to(tenant: Tenant, **changes: Any) -> dict[str, Any]:
    site, product = SiteFactory(tenant=tenant), ProductFactory(tenant=tenant)
    where = {"tenant": tenant.pk, "site": site.pk, "product": product.pk}
    return {**where, **WHY, **changes}


def test_devices_are_transferred_each_in_its_own_transaction(
    acme: Tenant, globex: Tenant
) -> None:
    plain, gateway = DeviceFactory(tenant=acme), DeviceFactory(tenant=acme, uid="gw")
    Device.objects.filter(pk=gateway.pk).update(kind="gateway")
    DeviceFactory(tenant=acme, kind="child", gateway=gateway)
    command = make_command(plain)
    client = boss()

    asked = choose(client, "transfer", plain, gateway).content.decode()
    done = choose(client, "transfer", plain, gateway, **goes_to(globex))

    assert "Ended: 1 open command;" in asked
    assert "Gateway of 1 device: a gateway is refused" in asked
    assert messages_of(done) == [
        "gw: gw is the gateway of 1 device: move them to another gateway, or out of"
        " service, before the transfer.",
        "1 transferred to globex.",
    ]
    assert fresh(plain).tenant == globex
    assert fresh(gateway).tenant == acme
    assert fresh(command).status == "cancelled"
    moves = LifecycleMove.objects.filter(device=plain)
    assert all(move.reason.endswith(": lightning") for move in moves)
    assert {move.tenant for move in moves} == {acme, globex}


def test_only_admins_of_both_tenants_transfer_devices(
    acme: Tenant, globex: Tenant
) -> None:
    device = DeviceFactory(tenant=acme)
    person = member_of(acme, Role.ADMIN).user
    client = boss()
    client.force_login(person)
    where = goes_to(globex)

    alone = choose(client, "transfer", device, **where)
    MembershipFactory(tenant=globex, user=person, role=Role.MANAGER)
    manages = choose(client, "transfer", device, **where)
    stays = fresh(device).tenant
    MembershipFactory(tenant=TenantFactory(), user=person, role=Role.ADMIN)
    third = choose(client, "transfer", device, **where)
    Membership.objects.filter(tenant=globex).update(role=Role.ADMIN)
    both = choose(client, "transfer", device, **where)

    for answer in (alone, manages):
        assert "Transfer to another tenant" not in answer.content.decode()
    assert "You need the right to administer it." in third.content.decode()
    assert stays == acme
    assert messages_of(both) == ["1 transferred to globex."]


def test_an_object_of_another_than_the_new_tenant_is_refused_at_its_field(
    acme: Tenant, globex: Tenant
) -> None:
    device = DeviceFactory(tenant=acme)
    stray = ProjectFactory(tenant=acme)
    where = goes_to(globex, site=device.site_id, project=stray.pk)

    answer = choose(boss(), "transfer", device, **where)

    errors = answer.context["adminform"].form.errors
    assert set(errors) == {"site", "project"}
    assert fresh(device).tenant == acme


def test_a_limited_manager_accesses_no_device_and_no_successor_beyond_the_limit(
    acme: Tenant,
) -> None:
    near, far = DeviceFactory(tenant=acme), DeviceFactory(tenant=acme)
    client = staff_of(acme, Role.MANAGER, near.site)

    choose(client, "tag", near, far, add="x", confirmed=1)
    refused = choose(client, "replace", near, replaced_by=far.pk, **WHY)

    assert (fresh(near).tags, fresh(far).tags) == (["x"], [])
    assert "not one of the available choices" in refused.content.decode()


def test_the_device_page_links_to_its_log_and_to_the_console(acme: Tenant) -> None:
    device = DeviceFactory(tenant=acme)
    client = staff_of(acme, Role.MANAGER)
    choose(client, "tag", device, add="winter")

    page = client.get(url_of(Device, "change", device.pk)).content.decode()
    log = f"{url_of(AuditEntry, 'changelist')}?device__id__exact={device.pk}"
    shown = client.get(log)

    assert f'href="{log}"' in page
    console = client.get(url_of(Device, "change", device.pk)).context["absolute_url"]
    assert client.get(console, follow=True).status_code == 200
    entries = list(shown.context["cl"].result_list)
    assert {entry.object_name for entry in entries} == {device.uid}
