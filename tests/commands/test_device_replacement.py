"""A replacement in one step: the successor gets place, configuration and open work."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection

from commands.models import Command, JobTarget, RetainedDesired
from commands.selectors.jobs import counts_of
from commands.services.device_replacement import replace_device
from commands.services.jobs import start_job
from iotplatform.common.problems import BadInput, Conflict, Problem
from registry.api.serializers.devices import DeviceSerializer
from registry.choices import Lifecycle
from registry.exceptions import MoveRefused
from registry.models import Credential, Device, LifecycleMove, Tenant
from registry.selectors.devices import get_device
from registry.services.products import create_batch, create_revision
from registry.services.spaces import create_space
from state.models import Alarm, Presence, TelemetrySummary, Twin
from tests.commands.test_jobs import fleet_of, make_job, tick
from tests.commands.units import Unit, ask, claim, deliver, fresh, now, online_unit
from tests.factories import DeviceFactory, ProductFactory, ProjectFactory

pytestmark = pytest.mark.django_db


def spare_for(device: Device, **fields: Any) -> Device:
    """Create a provisioned device of the same tenant at another site."""
    given = {"tenant": device.tenant, "product": device.product} | fields
    spare: Device = DeviceFactory.create(lifecycle=Lifecycle.PROVISIONED, **given)
    return spare


def replace(device: Device, spare: Device, reason: str = "broken") -> LifecycleMove:
    move = replace_device(device=device, successor=spare, reason=reason, actor=None)
    device.refresh_from_db()
    spare.refresh_from_db()
    return move


def successor_of(command: Command) -> Command | None:
    return Command.objects.filter(retry_of=command).first()


def test_the_successor_takes_over_the_place() -> None:
    unit = online_unit(name="pump 3", tags=["winter", "east"], attributes={"floor": 2})
    old = unit.device
    old.project = ProjectFactory(tenant=old.tenant)
    old.space = create_space(tenant=old.tenant, slug="roof", site=old.site)
    old.save()
    credential = Credential.objects.create(tenant=old.tenant, device=old, verifier="x")
    spare = spare_for(old, tags=["spare", "east"], attributes={"battery": "B"})

    move = replace(old, spare)

    assert spare.site == old.site
    assert (spare.project, spare.space) == (old.project, old.space)
    assert spare.tags == ["winter", "east", "spare"]
    assert spare.attributes == {"floor": 2, "battery": "B"}
    assert spare.name == "pump 3"
    assert (old.lifecycle, spare.lifecycle) == ("replaced", "active")
    assert (move.moved_from, move.reason, move.replaced_by) == (
        "active",
        "broken",
        spare,
    )
    activated = LifecycleMove.objects.get(device=spare)
    assert activated.reason == f"in the place of {old.uid}: broken"
    credential.refresh_from_db()
    assert credential.revoked_at is not None


def test_a_devices_own_properties_stay_with_it() -> None:
    old = online_unit(serial="A-1", adapter="mqtt").device
    revision = create_revision(tenant=old.tenant, slug="rev-b", product=old.product)
    batch = create_batch(tenant=old.tenant, slug="july", hardware_revision=revision)
    own = {"serial": "B-2", "adapter": "http", "name": "spare 7", "batch": batch}
    spare = spare_for(old, **own, hardware_revision=revision)
    place = old.site
    credential = Credential.objects.create(
        tenant=old.tenant, device=spare, verifier="x"
    )

    replace(old, spare)

    for name, value in own.items():
        assert getattr(spare, name) == value
    assert spare.hardware_revision == revision
    credential.refresh_from_db()
    assert credential.revoked_at is None
    # The old device keeps its place.
    assert (old.serial, old.site, old.hardware_revision) == ("A-1", place, None)


def test_attributes_that_the_successors_product_does_not_know_are_not_copied() -> None:
    old = online_unit(attributes={"floor": 2, "colour": "red"}).device
    product = ProductFactory(
        tenant=old.tenant,
        attributes_schema={
            "type": "object",
            "properties": {"floor": {"type": "integer"}},
            "required": ["floor"],
            "additionalProperties": False,
        },
    )
    spare = spare_for(old, product=product)

    replace(old, spare)

    assert spare.attributes == {"floor": 2}


def test_a_child_keeps_its_gateway_and_a_gateway_hands_over_its_children() -> None:
    gateway = DeviceFactory(kind="gateway")
    tenant = gateway.tenant
    children = [
        DeviceFactory(tenant=tenant, kind="child", gateway=gateway) for _ in range(3)
    ]
    child_spare = spare_for(children[0])
    gateway_spare = spare_for(gateway, kind="gateway")
    RetainedDesired.objects.create(
        tenant=tenant,
        device=children[1],
        topic=f"iot/v1/{gateway.uid}/child/{children[1].uid}/down/desired",
        published_at=now(),
    )

    replace(children[0], child_spare)
    replace(gateway, gateway_spare)

    child_spare.refresh_from_db()
    assert (child_spare.kind, child_spare.gateway) == ("child", gateway_spare)
    assert Device.objects.filter(gateway=gateway_spare).count() == 4
    assert not Device.objects.filter(gateway=gateway).exists()
    assert RetainedDesired.objects.get().clear_due_at is not None


def test_the_desired_configuration_is_passed_on_as_a_new_command() -> None:
    unit = online_unit()
    asked = ask(unit, "set_config", {"interval": 5, "net": {"apn": "a", "dns": "b"}})
    deliver()
    spare = spare_for(unit.device)
    ask(Unit(spare), "set_config", {"net": {"apn": "z", "vlan": 1}, "old": True})
    RetainedDesired.objects.filter(device=unit.device).update(clear_due_at=None)

    replace(unit.device, spare)

    twin = Twin.objects.get(device=spare)
    assert twin.desired == {"interval": 5, "net": {"apn": "a", "dns": "b"}}
    assert fresh(asked).status == "superseded"
    sent_on = successor_of(asked)
    assert sent_on is not None
    assert (sent_on.device, sent_on.desired_version) == (spare, 2)
    assert sent_on.expectation == twin.desired
    retained = RetainedDesired.objects.get(device=unit.device)
    assert retained.clear_due_at is not None
    links = [link for link in claim() if link.command_id == sent_on.public_id]
    assert links[0].topic == f"iot/v1/{spare.uid}/down/desired"


def test_a_verified_configuration_is_passed_on_too() -> None:
    unit = online_unit()
    ask(unit, "set_config", {"interval": 5})
    deliver()
    unit.report(1, {"interval": 5})
    spare = spare_for(unit.device)

    replace(unit.device, spare)

    command = Command.objects.get(device=spare)
    assert (command.name, command.params) == ("set_config", {"interval": 5})


def test_open_commands_are_passed_on_or_end_with_a_reason() -> None:
    unit = online_unit()
    sent = ask(unit, "reboot")
    real_time = ask(unit, "identify")
    deliver()
    waiting = ask(unit, "reboot")
    received = ask(unit, "reboot")
    repeatable = ask(unit, "update_firmware", {"version": "2.0.0"})
    ended = ask(unit, "reboot")
    for link in claim():
        if link.command_id in (received.public_id, repeatable.public_id):
            unit.acknowledge(fresh(link.command_id))
        elif link.command_id == ended.public_id:
            unit.result(ended)
    spare = spare_for(unit.device)

    replace(unit.device, spare)

    sent_on = successor_of(waiting)
    assert sent_on is not None
    assert (sent_on.device, sent_on.name, sent_on.status) == (spare, "reboot", "held")
    assert sent_on.expires_at <= waiting.expires_at
    assert fresh(waiting).status == "cancelled"
    assert fresh(ended).status == "succeeded"
    for command, status in ((sent, "cancelled"), (real_time, "cancelled")):
        assert fresh(command).status == status
        assert successor_of(command) is None
    assert fresh(received).status == fresh(repeatable).status == "unknown"
    assert successor_of(received) is None
    update = successor_of(repeatable)
    assert update is not None
    assert update.device == spare
    assert not Command.objects.filter(
        device=unit.device, ended_at__isnull=True
    ).exists()


def test_the_successor_becomes_the_jobs_member_and_the_original_is_recorded() -> None:
    units = fleet_of(4)
    job = make_job(units, rollout={"wave_size": 2})
    start_job(job=job, actor=None)
    tick()
    with_command = JobTarget.objects.filter(command__isnull=False).first()
    waiting = JobTarget.objects.filter(command__isnull=True).first()
    assert with_command is not None
    assert waiting is not None
    spares = []
    for member in (with_command, waiting):
        spare = spare_for(member.device)
        Unit(spare).come_online()
        replace(member.device, spare)
        spares.append(spare)

    members = list(JobTarget.objects.filter(job=job).order_by("pk"))
    by_pk = {member.pk: member for member in members}
    for before, spare in zip((with_command, waiting), spares, strict=True):
        after = by_pk[before.pk]
        assert (after.device, after.in_place_of) == (spare, before.device)
    passed_on = by_pk[with_command.pk].command
    assert passed_on is not None
    assert passed_on.device == spares[0]
    frozen = {member.in_place_of_id or member.device_id for member in members}
    assert frozen == {unit.device.pk for unit in units}
    assert counts_of([job])[job.pk].by_status["cancelled"] == 0


def test_a_member_whose_successor_is_a_member_too_is_skipped() -> None:
    units = fleet_of(2)
    job = make_job(units)

    replace(units[0].device, units[1].device)

    left_out = JobTarget.objects.get(job=job, device=units[0].device)
    assert "in the job already" in left_out.skip_reason


def test_history_and_alarms_stay_with_the_old_device() -> None:
    unit = online_unit()
    unit.say("event", {"code": "hot", "severity": "warning", "state": "raised"})
    unit.say("telemetry", {"metrics": {"temperature": 21.5}})
    spare = spare_for(unit.device)

    replace(unit.device, spare)

    assert Alarm.objects.get().device == unit.device
    assert TelemetrySummary.objects.get().device == unit.device
    assert Presence.objects.get(pk=unit.device.pk).last_seen_at is not None
    assert not Presence.objects.filter(pk=spare.pk, last_seen_at__isnull=False).exists()
    assert Twin.objects.get(device=unit.device).reported == {}


def test_an_unfit_successor_is_refused_and_nothing_changes() -> None:
    gateway = DeviceFactory(kind="gateway")
    standalone = spare_for(gateway)
    first, second = (
        DeviceFactory(tenant=gateway.tenant),
        DeviceFactory(tenant=gateway.tenant),
    )
    busy = spare_for(first)
    replace(first, busy)

    for device, successor in ((gateway, standalone), (second, busy)):
        with pytest.raises(BadInput) as refusal:
            replace(device, successor)
        assert [row["field"] for row in refusal.value.errors] == ["replaced_by"]
        device.refresh_from_db()
        assert device.lifecycle == "active"
    with pytest.raises(MoveRefused):
        replace(first, standalone)


@pytest.mark.django_db(transaction=True)
def test_only_one_of_two_concurrent_replacements_succeeds() -> None:
    device = DeviceFactory()
    spares = [spare_for(device), spare_for(device)]
    began = threading.Barrier(2)
    outcomes: list[str] = []

    def act(spare: Device) -> None:
        began.wait()
        try:
            replace_device(device=device, successor=spare, reason="", actor=None)
            outcomes.append("made")
        except (MoveRefused, Conflict):
            outcomes.append("refused")
        except Problem as error:
            outcomes.append(str(error))
        finally:
            connection.close()

    threads = [threading.Thread(target=act, args=(spare,)) for spare in spares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["made", "refused"]
    assert LifecycleMove.objects.filter(device=device).count() == 1
    successor = LifecycleMove.objects.get(device=device).replaced_by
    active = Device.objects.filter(lifecycle="active", pk__in=[s.pk for s in spares])
    assert list(active) == [successor]


def test_a_device_shows_which_device_it_replaces_and_which_replaced_it() -> None:
    old = DeviceFactory()
    spare = spare_for(old)
    replace(old, spare)
    tenant: Tenant = old.tenant

    def names(uid: str) -> tuple[str | None, str | None]:
        shown = DeviceSerializer(get_device(tenants=[tenant], uid=uid)).data
        return shown["replaces"], shown["replaced_by"]

    assert names(old.uid) == (None, spare.uid)
    assert names(spare.uid) == (old.uid, None)
