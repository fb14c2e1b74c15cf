"""Requests for a command: done once, checked, refused with the field's name."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from commands.exceptions import (
    CommandRefused,
    IdempotencyKeyReused,
    InvalidCommand,
    TransitionRefused,
)
from commands.models import Command, CommandEvent, IdempotencyKey
from commands.selectors.commands import list_events
from commands.services.actions import (
    cancel_command,
    escalate_command,
    retry_command,
)
from commands.services.commands import request_command
from commands.services.idempotency import delete_old_keys_across_tenants
from iotplatform.common.problems import PreconditionFailed
from registry.models import Device
from state.models import Twin
from tests.commands.units import (
    Unit,
    ask,
    deliver,
    fresh,
    now,
    online_unit,
    sweep,
)
from tests.factories import DeviceFactory, ProductFactory, TenantFactory

pytestmark = pytest.mark.django_db


def asked_with(device: Device, key: str, **changes: Any) -> tuple[Command, bool]:
    arguments: dict[str, Any] = {
        "device": device,
        "name": "reboot",
        "params": {},
        "policy": None,
        "idempotency_key": key,
        "actor": None,
    }
    return request_command(**{**arguments, **changes})


def test_the_same_key_and_request_return_the_first_command() -> None:
    device = online_unit().device

    first, is_new = asked_with(device, "k1")
    again, is_new_again = asked_with(device, "k1")

    assert (is_new, is_new_again) == (True, False)
    assert again == first
    assert Command.objects.count() == 1


def test_the_same_key_with_another_request_is_refused() -> None:
    device = online_unit().device
    asked_with(device, "k1")

    with pytest.raises(IdempotencyKeyReused):
        asked_with(device, "k1", params={"delay_seconds": 5})

    assert Command.objects.count() == 1


def test_a_repeat_gets_the_first_answer_even_if_the_device_went_offline() -> None:
    unit = online_unit()
    first, _ = asked_with(unit.device, "k1", name="identify")
    unit.say("status", {"status": "goodbye"})

    again, is_new = asked_with(unit.device, "k1", name="identify")

    assert again == first
    assert not is_new


def test_a_refused_request_leaves_its_key_free() -> None:
    unit = Unit(DeviceFactory.create())
    with pytest.raises(CommandRefused):
        asked_with(unit.device, "k1", name="identify")

    assert not IdempotencyKey.objects.exists()


def test_keys_are_deleted_after_seven_days() -> None:
    asked_with(online_unit().device, "k1")

    assert delete_old_keys_across_tenants(now=now() + timedelta(days=6)) == 0
    assert delete_old_keys_across_tenants(now=now() + timedelta(days=8)) == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "explode"}, "name"),
        ({"name": "update_firmware", "params": {}}, "params.version"),
        ({"name": "identify", "params": {"seconds": "x"}}, "params.seconds"),
        ({"params": {"colour": 1}}, "params.colour"),
        ({"name": "set_config", "params": {}}, "params"),
        ({"name": "set_config", "params": {"a": "x" * 40_000}}, "params"),
        ({"name": "set_config", "params": {"a": float("inf")}}, "params"),
        ({"name": "set_config", "params": {"a": [2**70]}}, "params"),
        ({"name": "set_config", "params": {"a": "\x00"}}, "params"),
        ({"name": "set_config", "params": {"a": "\ud800"}}, "params"),
        ({"policy": {"attempts": 0}}, "policy.attempts"),
        ({"policy": {"attempts": True}}, "policy.attempts"),
        ({"policy": {"tries": 3}}, "policy.tries"),
        ({"policy": {"on_failure": {"no_ack": "pray"}}}, "policy.on_failure.no_ack"),
        ({"policy": []}, "policy"),
    ],
)
def test_bad_input_names_its_field(changes: dict[str, Any], field: str) -> None:
    device = DeviceFactory.create()

    with pytest.raises(InvalidCommand) as refusal:
        asked_with(device, "k1", **changes)

    assert [row["field"] for row in refusal.value.errors] == [field]
    assert not Command.objects.exists()


def test_missing_policy_fields_come_from_the_definition() -> None:
    command = ask(online_unit(), attempts=7, on_failure={"no_ack": "escalate"})

    assert command.policy["attempts"] == 7
    assert command.policy["expires_in_seconds"] == 86_400
    assert command.policy["on_failure"]["no_ack"] == "escalate"
    assert command.policy["on_failure"]["rejected"] == "escalate"


def test_a_real_time_command_is_refused_unless_the_device_is_online() -> None:
    with pytest.raises(CommandRefused, match="offline"):
        ask(Unit(DeviceFactory.create()), "identify")


def test_a_retired_device_and_a_telemetry_only_product_take_no_commands() -> None:
    tenant = TenantFactory.create()
    silent = ProductFactory.create(tenant=tenant, takes_commands=False)

    with pytest.raises(CommandRefused, match="retired"):
        ask(Unit(DeviceFactory.create(lifecycle="retired")))
    with pytest.raises(CommandRefused, match="telemetry only"):
        ask(Unit(DeviceFactory.create(tenant=tenant, product=silent)))


def test_the_latest_configuration_wins() -> None:
    unit = online_unit()
    older = ask(unit, "set_config", {"interval": 5})
    deliver()

    newer = ask(unit, "set_config", {"interval": 9})

    assert fresh(older).status == "superseded"
    assert (newer.status, newer.desired_version) == ("queued", 2)
    deliver()
    unit.report(1, {"interval": 5})
    assert fresh(newer).status == "sent"
    unit.report(2, {"interval": 9, "mode": "eco"})
    assert fresh(newer).status == "verified"
    assert fresh(older).status == "superseded"


def test_a_configuration_for_another_version_is_refused_and_changes_nothing() -> None:
    unit = online_unit()
    ask(unit, "set_config", {"interval": 5})

    with pytest.raises(PreconditionFailed):
        asked_with(
            unit.device,
            "k1",
            name="set_config",
            params={"interval": 9},
            expected_version=7,
        )

    assert Twin.objects.get(device=unit.device).desired == {"interval": 5}


def test_a_received_command_cannot_be_cancelled() -> None:
    unit = online_unit()
    command = ask(unit)
    deliver()
    unit.acknowledge(command)
    events = CommandEvent.objects.count()

    with pytest.raises(TransitionRefused):
        cancel_command(command=command, actor=None, reason="too late")

    assert fresh(command).status == "received"
    assert CommandEvent.objects.count() == events


def test_a_device_may_still_correct_a_cancelled_command() -> None:
    unit = online_unit()
    command = ask(unit)
    deliver()
    cancel_command(command=command, actor=None, reason="changed my mind")

    unit.result(command)

    assert (fresh(command).status, fresh(command).late) == ("succeeded", True)


def test_a_timed_out_command_is_retried_with_the_same_id() -> None:
    unit = online_unit()
    command = ask(unit, "identify", attempts=1)
    deliver()
    sweep(now() + timedelta(seconds=30))

    again = retry_command(command=fresh(command), actor=None, reason="once more")

    assert again == command
    (link,) = deliver()
    assert (link.command_id, json.loads(link.payload)["attempt"]) == (
        command.public_id,
        2,
    )


def test_a_command_that_the_device_failed_is_retried_as_a_linked_new_command() -> None:
    unit = online_unit()
    command = ask(unit)
    deliver()
    unit.result(command, "failed")

    again = retry_command(command=fresh(command), actor=None, reason="fixed")

    assert again.retry_of == command
    assert fresh(command).status == "failed"


def test_an_unrepeatable_command_that_may_have_run_is_not_retried() -> None:
    unit = online_unit()
    command = ask(unit)
    deliver()
    unit.acknowledge(command)
    sweep(now() + timedelta(minutes=10))
    assert (fresh(command).status, fresh(command).failure_class) == (
        "unknown",
        "unknown_outcome",
    )

    with pytest.raises(TransitionRefused, match="not repeatable"):
        retry_command(command=fresh(command), actor=None, reason="please")


def test_an_escalation_is_recorded_and_the_status_stays() -> None:
    command = ask(online_unit())

    escalate_command(command=command, actor=None, reason="look at the relay")

    last = list(list_events(command))[-1]
    assert (last.status, last.detail) == ("queued", {"escalated": True})
    assert "look at the relay" in last.cause


def test_an_operation_is_escalated_after_its_last_attempt() -> None:
    unit = online_unit()
    command = ask(unit, backoff_seconds=0, receive_timeout_seconds=5, attempts=2)
    at = now()
    for _ in range(2):
        deliver(at=at)
        at += timedelta(seconds=6)
        sweep(at)

    assert fresh(command).status == "timed_out"
    assert any((e.detail or {}).get("escalated") for e in list_events(command))


def test_a_policy_may_retry_a_command_that_the_device_failed() -> None:
    unit = online_unit()
    retry = {"execution_failed": "retry_later"}
    command = ask(unit, attempts=2, backoff_seconds=10, on_failure=retry)
    deliver()
    unit.result(command, "failed")

    sweep(now() + timedelta(seconds=11))

    second = Command.objects.get(retry_of=command)
    assert (fresh(command).status, fresh(command).due_at) == ("failed", None)
    assert second.policy["attempts"] == 1
    deliver(at=now() + timedelta(seconds=12))
    unit.result(second, "failed")
    sweep(now() + timedelta(minutes=5))
    assert Command.objects.count() == 2
