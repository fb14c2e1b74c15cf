"""Claims are fenced, exclusive, and repeated when an adapter stops reporting."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from commands.models import Attempt, Command, RetainedDesired
from commands.services.actions import cancel_command
from commands.services.dispatch import (
    OutgoingCommand,
    claim_due,
    find_publishable,
    mark_sent,
)
from commands.services.retained_config import (
    forget_retained,
    list_retained_to_clear,
    mark_retained_to_clear_across_tenants,
)
from commands.services.sweeps import (
    cancel_for_ended_devices_across_tenants,
    release_waiting_across_tenants,
)
from state.models import ExpectedDisconnect, Presence
from state.services.presence.sweep import (
    sweep_across_tenants,
    wake_children_across_tenants,
)
from tests.commands.units import (
    Unit,
    ask,
    claim,
    deliver,
    fresh,
    now,
    online_unit,
    sweep,
)
from tests.factories import DeviceFactory, TenantFactory

pytestmark = pytest.mark.django_db


def claims_of(links: list[OutgoingCommand]) -> list[Any]:
    return [(link.command_id, link.token) for link in links]


def test_a_command_is_published_on_its_own_topic_with_an_expiry() -> None:
    unit = online_unit()
    command = ask(unit, "identify", {"seconds": 5})

    (link,) = claim()

    assert link.topic == f"iot/v1/{unit.device.uid}/down/command"
    assert not link.retain
    assert 1 <= (link.message_expiry_seconds or 0) <= 60
    body = json.loads(link.payload)
    assert body.pop("expires_at").endswith("Z")
    assert body == {
        "id": str(command.public_id),
        "name": "identify",
        "params": {"seconds": 5},
        "attempt": 1,
    }


def test_the_whole_configuration_is_published_retained() -> None:
    unit = online_unit()
    ask(unit, "set_config", {"interval": 5})
    command = ask(unit, "set_config", {"mode": "eco"})

    (link,) = claim()

    assert link.topic == f"iot/v1/{unit.device.uid}/down/desired"
    assert link.retain
    assert link.message_expiry_seconds is None
    assert json.loads(link.payload) == {
        "version": 2,
        "desired": {"interval": 5, "mode": "eco"},
        "command_id": str(command.public_id),
    }


def test_a_child_is_reached_through_its_gateway() -> None:
    tenant = TenantFactory.create()
    gateway = DeviceFactory.create(tenant=tenant, kind="gateway")
    child = DeviceFactory.create(tenant=tenant, kind="child", gateway=gateway)
    unit = Unit(child)
    Unit(gateway).come_online()
    unit.say_on(f"iot/v1/{gateway.uid}/child/{child.uid}/status", {"status": "online"})
    ask(unit)

    (link,) = claim()

    assert link.topic == f"iot/v1/{gateway.uid}/child/{child.uid}/down/command"


def test_an_adapter_whose_lease_was_lost_can_mark_nothing() -> None:
    command = ask(online_unit())
    old = claim(lease_seconds=5)
    sweep(now() + timedelta(seconds=6))
    later = now() + timedelta(minutes=2)
    new = claim(at=later)

    marked = mark_sent(claims_of(old), later)

    assert marked == set()
    assert find_publishable(claims_of(old), now=later) == set()
    assert find_publishable(claims_of(new), now=later) == {command.public_id}
    assert fresh(command).status == "queued"
    outcomes = Attempt.objects.order_by("number").values_list("outcome", flat=True)
    assert list(outcomes) == ["interrupted", "claimed"]


def test_a_claim_with_an_ended_lease_must_not_be_published() -> None:
    ask(online_unit())
    links = claim(lease_seconds=5)

    assert find_publishable(claims_of(links), now=now() + timedelta(seconds=6)) == set()


def test_a_command_cancelled_after_its_claim_is_not_published() -> None:
    command = ask(online_unit())
    links = claim()

    cancel_command(command=command, actor=None, reason="wrong device")

    assert find_publishable(claims_of(links), now=now()) == set()
    assert Attempt.objects.get().outcome == "stopped"


def test_a_reboot_command_announces_an_expected_disconnect() -> None:
    unit = online_unit()
    ask(unit)

    claim()

    assert ExpectedDisconnect.objects.get().device == unit.device


def test_an_offline_devices_operation_waits_for_its_birth() -> None:
    unit = Unit(DeviceFactory.create())
    command = ask(unit)
    assert (fresh(command).status, fresh(command).waits_for) == ("held", "device")
    assert claim() == []

    unit.come_online()

    assert fresh(command).status == "queued"
    assert len(claim()) == 1


def test_the_sweep_releases_a_command_held_while_the_birth_was_committed() -> None:
    unit = Unit(DeviceFactory.create())
    command = ask(unit)
    Presence.objects.create(
        device=unit.device,
        tenant=unit.device.tenant,
        connectivity="online",
        since=now(),
    )

    release_waiting_across_tenants(now=now())

    assert fresh(command).status == "queued"


def test_an_offline_devices_configuration_is_retained_and_then_waits() -> None:
    unit = Unit(DeviceFactory.create())
    command = ask(unit, "set_config", {"interval": 5})

    (link,) = deliver()

    assert link.retain
    assert fresh(command).status == "held"
    unit.come_online()
    assert fresh(command).status == "queued"


def test_a_command_whose_device_left_before_answering_waits_for_it() -> None:
    unit = online_unit()
    command = ask(unit)
    deliver()
    unit.say("status", {"status": "goodbye"})

    sweep(now() + timedelta(minutes=2))

    assert (fresh(command).status, fresh(command).waits_for) == ("held", "device")


def test_a_childs_operation_waits_while_its_gateway_is_offline() -> None:
    gateway = online_unit(kind="gateway")
    child = Unit(
        DeviceFactory.create(
            tenant=gateway.device.tenant, kind="child", gateway=gateway.device
        )
    )
    child.come_online()
    gateway.say("status", {"status": "goodbye"})
    wake_children_across_tenants(now=now())
    sweep_across_tenants(now=now())

    command = ask(child)

    assert (command.status, command.waits_for) == ("held", "gateway")
    assert not claim()
    gateway.come_online()
    child.come_online()
    assert fresh(command).status == "queued"


def test_an_unacknowledged_command_expires() -> None:
    unit = online_unit()
    command = ask(unit, expires_in_seconds=5)
    deliver()

    sweep(now() + timedelta(seconds=6))

    command = fresh(command)
    assert (command.status, command.failure_class) == ("expired", "expired")


def test_retained_configuration_of_a_retired_device_is_cleared() -> None:
    unit = online_unit()
    command = ask(unit, "set_config", {"interval": 5})
    deliver()
    unit.device.lifecycle = "retired"
    unit.device.save()

    cancel_for_ended_devices_across_tenants(now=now())
    mark_retained_to_clear_across_tenants(now=now())
    topics = list_retained_to_clear()
    forget_retained(topics)

    assert topics == [f"iot/v1/{unit.device.uid}/down/desired"]
    assert not RetainedDesired.objects.exists()
    assert fresh(command).status == "cancelled"


@pytest.mark.django_db(transaction=True)
def test_two_adapters_never_claim_the_same_command() -> None:
    unit = online_unit()
    for _ in range(40):
        ask(unit)
    start = Barrier(2)

    def in_thread() -> list[OutgoingCommand]:
        try:
            start.wait()
            at, found = now(), []
            while links := claim_due(adapter="mqtt", limit=5, lease_seconds=30, now=at):
                found += links
            return found
        finally:
            connection.close()

    first, second = run_both(in_thread, in_thread)

    ids = [link.command_id for link in first + second]
    assert len(ids) == len(set(ids)) == Command.objects.count()
    assert Attempt.objects.count() == len(ids)


def run_both(*work: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(len(work)) as pool:
        return [future.result() for future in [pool.submit(each) for each in work]]
