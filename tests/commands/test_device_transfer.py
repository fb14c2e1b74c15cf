"""A device is transferred to another tenant in one operation, without its data."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from commands.models import Command, JobTarget, RetainedDesired
from commands.selectors.timeline import get_merged_timeline
from commands.services.device_transfer import transfer_device
from fleet.models import Outbox
from iotplatform.common.problems import BadInput, Conflict
from registry.models import AuditEntry, Credential, Device, Tenant, User
from registry.services.transfer import Destination
from state.models import Alarm, Presence, TelemetrySummary, Twin
from tests.acting import acting
from tests.commands.test_jobs import fleet_of, make_job
from tests.commands.units import ask, deliver, fresh, now, online_unit
from tests.factories import (
    BatchFactory,
    DeviceFactory,
    HardwareRevisionFactory,
    MembershipFactory,
    ProductFactory,
    SiteFactory,
    SpaceFactory,
    TenantFactory,
    UserFactory,
)
from tests.registry.conftest import client_of

pytestmark = pytest.mark.django_db


def destination(**changes: Any) -> Destination:
    """Return a site and a product of another tenant."""
    tenant = changes.pop("tenant", None) or TenantFactory.create()
    given = {
        "tenant": tenant,
        "site": SiteFactory.create(tenant=tenant),
        "product": ProductFactory.create(tenant=tenant),
    }
    return Destination(**(given | changes))


def transfer(device: Device, to: Destination) -> Device:
    moved = transfer_device(device=device, to=to, reason="sold", actor=None)
    device.refresh_from_db()
    return moved


def test_the_device_starts_empty_and_its_past_stays_with_the_old_owner() -> None:
    unit = online_unit(name="pump", tags=["winter"])
    device, old = unit.device, unit.device.tenant
    Credential.objects.create(tenant=old, device=device, verifier="x")
    unit.say("telemetry", {"metrics": {"temperature": 21.5}})
    unit.say("event", {"code": "hot", "severity": "warning", "state": "raised"})
    asked = ask(unit, "set_config", {"interval": 5})
    reboot = ask(unit, "reboot")
    deliver()
    unit.report(3, {"interval": 4})
    to = destination()
    Outbox.objects.all().delete()

    transfer(device, to)

    assert (device.tenant, device.site, device.product) == (
        to.tenant,
        to.site,
        to.product,
    )
    assert (device.name, device.tags, device.lifecycle) == ("", [], "active")
    assert not Credential.objects.filter(revoked_at__isnull=True).exists()
    presence = Presence.objects.get(device=device)
    assert (presence.tenant, presence.cause) == (to.tenant, "never_connected")
    twin = Twin.objects.get(device=device)
    assert (twin.tenant, twin.desired, twin.reported) == (to.tenant, {}, {})
    assert twin.desired_version == 2
    assert TelemetrySummary.objects.get(device=device).latest == {}
    assert Alarm.objects.get().state == "cleared"
    assert Alarm.objects.get().tenant == old
    assert {fresh(asked).status, fresh(reboot).status} == {"cancelled"}
    assert set(Command.objects.values_list("tenant_id", flat=True)) == {old.pk}
    assert RetainedDesired.objects.get().clear_due_at is not None
    assert Outbox.objects.filter(device_id=device.pk).exists()
    entries, _ = get_merged_timeline(device, before=now(), limit=100)
    assert [entry["cause"] for entry in entries] == [
        "taken over from another tenant: sold"
    ]


def test_it_works_for_the_new_owner_like_any_device() -> None:
    unit = online_unit()
    unit.report(9, {"interval": 4})
    transfer(unit.device, destination())

    unit.come_online()
    unit.report(1, {"interval": 7})
    command = ask(unit, "set_config", {"interval": 7})

    assert command.tenant == unit.device.tenant
    assert Twin.objects.get(device=unit.device).reported == {"interval": 7}
    assert Presence.objects.get(device=unit.device).connectivity == "online"


def test_space_revision_and_batch_of_the_old_owner_are_cleared() -> None:
    site = SiteFactory.create()
    revision = HardwareRevisionFactory.create(tenant=site.tenant)
    device = DeviceFactory.create(
        tenant=site.tenant,
        site=site,
        space=SpaceFactory.create(tenant=site.tenant, site=site),
        product=revision.product,
        hardware_revision=revision,
        batch=BatchFactory.create(tenant=site.tenant, hardware_revision=revision),
    )
    to = destination()

    transfer(device, to)

    assert (device.tenant, device.site) == (to.tenant, to.site)
    assert (device.space, device.hardware_revision, device.batch) == (None, None, None)


def test_a_waiting_job_member_is_skipped_with_a_reason() -> None:
    units = fleet_of(2)
    job = make_job(units)

    transfer(units[0].device, destination())

    member = JobTarget.objects.get(job=job, device=units[0].device)
    assert member.skip_reason == "the device was transferred to another tenant"


def test_each_owners_audit_log_shows_its_own_half() -> None:
    device = DeviceFactory()
    old, to, person = device.tenant, destination(), UserFactory()

    with acting(person):
        transfer(device, to)

    found = AuditEntry.objects.filter(kind="device")
    halves = sorted(found, key=lambda entry: entry.tenant != old)
    assert [entry.tenant for entry in halves] == [old, to.tenant]
    assert halves[0].before is not None
    assert halves[0].before["tenant_id"] == old.pk
    assert str(old.pk) not in str((halves[1].before or {}).get("tenant_id", ""))


def test_an_impossible_transfer_is_refused_and_changes_nothing() -> None:
    gateway = DeviceFactory(kind="gateway")
    DeviceFactory(tenant=gateway.tenant, kind="child", gateway=gateway)
    device = DeviceFactory(serial="S-1")
    to = destination()
    DeviceFactory(tenant=to.tenant, serial="S-1")
    command = ask(online_unit(), "reboot")

    with pytest.raises(Conflict, match="gateway of 1 device:"):
        transfer(gateway, to)
    for wrong, field in (
        (to, "serial"),
        (destination(site=SiteFactory()), "site"),
        (destination(tenant=device.tenant), "tenant"),
    ):
        with pytest.raises(BadInput) as refusal:
            transfer(device, wrong)
        assert {row["field"] for row in refusal.value.errors} == {field}
    device.refresh_from_db()
    assert device.tenant != to.tenant
    assert fresh(command).is_open


@pytest.mark.django_db(transaction=True)
def test_only_one_of_two_concurrent_transfers_succeeds() -> None:
    device = DeviceFactory()
    ways = [destination(), destination()]
    began = threading.Barrier(2)
    outcomes: list[str] = []

    def act(to: Destination) -> None:
        stale = Device.objects.get(pk=device.pk)
        began.wait()
        try:
            transfer_device(device=stale, to=to, reason="", actor=None)
            outcomes.append("made")
        except Conflict:
            outcomes.append("refused")
        finally:
            connection.close()

    threads = [threading.Thread(target=act, args=(to,)) for to in ways]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["made", "refused"]


def admin_of(*tenants: Tenant) -> APIClient:
    user: User = UserFactory()
    for tenant in tenants:
        MembershipFactory(user=user, tenant=tenant, role="admin")
    return client_of(user)


def test_only_admins_of_both_tenants_can_transfer() -> None:
    device = DeviceFactory(uid="dev-1")
    old, to = device.tenant, destination()
    url = "/api/v1/devices/dev-1/transfer/"
    body = {
        "tenant": to.tenant.slug,
        "site": to.site.slug,
        "product": to.product.slug,
        "reason": "sold",
    }
    manager = UserFactory()
    MembershipFactory(user=manager, tenant=old, role="admin")
    MembershipFactory(user=manager, tenant=to.tenant, role="manager")

    assert APIClient().post(url, body, format="json").status_code == 401
    assert admin_of(to.tenant).post(url, body, format="json").status_code == 404
    assert client_of(manager).post(url, body, format="json").status_code == 403
    stranger = admin_of(old).post(url, body, format="json")
    assert (stranger.status_code, stranger.json()["errors"][0]["field"]) == (
        400,
        "tenant",
    )
    wrong = admin_of(old, to.tenant).post(
        url, body | {"site": "nowhere"}, format="json"
    )
    assert wrong.json()["errors"][0]["field"] == "site"
    moved = admin_of(old, to.tenant).post(url, body, format="json")
    assert moved.status_code == 200, moved.json()
    assert moved.json()["tenant"] == to.tenant.slug
    superuser = client_of(UserFactory(is_superuser=True))
    assert superuser.post(url, body, format="json").status_code == 400
