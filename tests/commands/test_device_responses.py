"""A device's responses move its command, in any order, and are never undone."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from commands.models import Attempt, Command
from commands.selectors.commands import list_events
from commands.services.dispatch import mark_sent
from state.models import DeadLetter
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
from tests.factories import DeviceFactory

pytestmark = pytest.mark.django_db


def statuses(command: Command) -> list[str]:
    return [event.status for event in list_events(command)]


def test_a_command_goes_from_queued_to_succeeded() -> None:
    unit = online_unit()
    command = ask(unit)

    deliver()
    unit.acknowledge(command)
    unit.result(command, payload={"uptime": 1})

    command = fresh(command)
    assert command.status == "succeeded"
    assert command.ended_at is not None
    assert command.due_at is None
    assert command.result == {
        "status": "succeeded",
        "code": None,
        "payload": {"uptime": 1},
    }
    assert statuses(command) == ["queued", "sent", "received", "succeeded"]


def test_an_acknowledgement_before_the_puback_is_applied_and_sent_at_is_added() -> None:
    unit = online_unit()
    command = ask(unit)
    (link,) = claim()

    unit.acknowledge(command)
    marked = mark_sent([(link.command_id, link.token)], now())

    assert marked == {command.public_id}
    assert fresh(command).status == "received"
    assert fresh(command).sent_at is not None
    assert Attempt.objects.get(command=command).outcome == "received"
    assert statuses(command) == ["queued", "received"]


def test_a_late_result_corrects_our_verdict_and_is_marked_late() -> None:
    unit = online_unit()
    command = ask(unit, "identify", attempts=1)
    deliver()
    sweep(now() + timedelta(seconds=30))
    assert fresh(command).status == "timed_out"
    assert fresh(command).failure_class == "no_ack"

    unit.result(command)

    assert fresh(command).status == "succeeded"
    assert fresh(command).late
    assert fresh(command).failure_class == ""


def test_a_late_acknowledgement_is_recorded_and_the_verdict_stays() -> None:
    unit = online_unit()
    command = ask(unit, "identify", attempts=1)
    deliver()
    sweep(now() + timedelta(seconds=30))

    later = now() + timedelta(seconds=40)
    unit.acknowledge(command, at=later)
    unit.acknowledge(command, at=later)

    assert fresh(command).status == "timed_out"
    assert fresh(command).received_at is not None
    assert [e.cause for e in list_events(command)][-1] == (
        "late acknowledgement: received"
    )
    assert len(statuses(command)) == 4


def test_a_late_result_of_a_superseded_configuration_does_not_fail_it() -> None:
    unit = online_unit()
    older = ask(unit, "set_config", {"interval": 5})
    deliver()
    ask(unit, "set_config", {"interval": 9})

    unit.result(older)

    assert (fresh(older).status, fresh(older).late) == ("succeeded", True)
    sweep(now() + timedelta(hours=1))
    older = fresh(older)
    assert (older.status, older.failure_class) == ("superseded", "")


def test_an_unanswered_repeat_of_a_received_command_is_an_execution_timeout() -> None:
    unit = online_unit()
    command = ask(unit, "update_firmware", {"version": "2"}, attempts=2)
    deliver()
    unit.acknowledge(command)
    sweep(now() + timedelta(hours=1))
    deliver(at=now() + timedelta(hours=2))

    sweep(now() + timedelta(hours=3))

    command = fresh(command)
    assert (command.status, command.failure_class) == ("timed_out", "execution_timeout")


def test_a_command_that_the_device_ended_stays_ended() -> None:
    unit = online_unit()
    command = ask(unit)
    deliver()
    unit.result(command, "failed", code="flash_error")

    unit.result(command, "succeeded")
    unit.acknowledge(command, "rejected")
    sweep(now() + timedelta(days=30))

    command = fresh(command)
    assert (command.status, command.failure_class) == ("failed", "execution_failed")
    assert not command.late


@pytest.mark.parametrize(
    ("name", "params"),
    [("identify", {}), ("update_firmware", {"version": "2.0.0"})],
)
def test_a_second_result_does_not_change_the_first(
    name: str, params: dict[str, Any]
) -> None:
    unit = online_unit()
    command = ask(unit, name, params)
    deliver()
    unit.result(command, "succeeded")

    unit.result(command, "failed", code="flash_error")

    command = fresh(command)
    assert (command.status, command.failure_class) == ("succeeded", "")


def test_a_rejected_command_fails_with_the_reason() -> None:
    unit = online_unit()
    command = ask(unit)
    deliver()

    unit.acknowledge(command, "rejected", reason="busy")

    command = fresh(command)
    assert (command.status, command.failure_class) == ("failed", "rejected")
    assert command.result == {"status": "rejected", "reason": "busy"}


def test_a_deferred_command_is_held_until_its_time_and_then_sent_again() -> None:
    unit = online_unit()
    command = ask(unit)
    deliver()
    until = now() + timedelta(hours=2)

    unit.acknowledge(command, "deferred", until=int(until.timestamp() * 1000))

    assert fresh(command).status == "held"
    sweep(until - timedelta(seconds=1))
    assert fresh(command).status == "held"
    sweep(until + timedelta(seconds=1))
    assert fresh(command).status == "queued"
    (link,) = deliver(at=until + timedelta(seconds=2))
    assert json.loads(link.payload)["attempt"] == 2


def test_a_late_deferral_does_not_send_again_what_must_not_be_repeated() -> None:
    unit = online_unit()
    command = ask(unit, "reboot")
    deliver()
    unit.acknowledge(command)

    # The answer to an earlier attempt, overtaken on its way.
    unit.acknowledge(command, "deferred")

    assert fresh(command).is_repeatable is False
    assert fresh(command).status == "received"
    sweep(now() + timedelta(minutes=2))
    assert fresh(command).status == "received"


def test_a_report_after_the_result_verifies_the_command() -> None:
    unit = online_unit()
    command = ask(unit, "update_firmware", {"version": "2.0.0"})
    deliver()
    unit.result(command)
    assert fresh(command).status == "succeeded"
    assert fresh(command).ended_at is None

    unit.report(1, {"firmware": "2.0.0"})

    assert fresh(command).status == "verified"


def test_a_report_before_the_result_verifies_the_command_too() -> None:
    unit = online_unit()
    command = ask(unit, "update_firmware", {"version": "2.0.0"})
    deliver()

    unit.report(1, {"firmware": "2.0.0"})
    unit.result(command)

    command = fresh(command)
    assert command.status == "verified"
    assert command.received_at is None
    assert command.succeeded_at is not None


def test_an_unverified_command_is_verified_by_a_late_report() -> None:
    unit = online_unit()
    command = ask(unit, "update_firmware", {"version": "2.0.0"})
    deliver()
    unit.result(command)
    unit.report(1, {"firmware": "1.0.0"})

    sweep(now() + timedelta(hours=1))

    assert (fresh(command).status, fresh(command).failure_class) == (
        "failed",
        "unverified",
    )
    unit.report(2, {"firmware": "2.0.0"})
    assert fresh(command).status == "verified"
    assert fresh(command).late


def test_a_configuration_reported_in_float32_verifies_its_command() -> None:
    unit = online_unit()
    command = ask(unit, "set_config", {"pid": {"gain": 0.1}, "steps": [0.7]})
    deliver()

    unit.report(1, {"pid": {"gain": 0.10000000149011612}, "steps": [0.699999988]})
    unit.result(command)

    assert fresh(command).status == "verified"


def test_a_response_of_another_device_is_a_dead_letter_and_moves_nothing() -> None:
    unit = online_unit()
    stranger = Unit(DeviceFactory.create())
    command = ask(unit)
    deliver()

    stranger.result(command)

    assert fresh(command).status == "sent"
    letter = DeadLetter.objects.get()
    assert letter.reason == "unknown_command"
    assert letter.tenant == stranger.device.tenant


def test_messages_that_match_no_command_or_device_are_dead_letters() -> None:
    unit = online_unit()
    unit.say(f"command/{uuid4()}/ack", {"status": "received"})
    Unit(DeviceFactory.create(lifecycle="retired")).come_online()
    gateway = DeviceFactory.create(kind="gateway")
    child = DeviceFactory.create(tenant=gateway.tenant, kind="child", gateway=gateway)
    unit.say_on(f"iot/v1/{unit.device.uid}/child/{child.uid}/heartbeat", {})
    unit.say_on("iot/v1/nobody/heartbeat", {})

    reasons = DeadLetter.objects.order_by("pk").values_list("reason", flat=True)

    assert list(reasons) == [
        "unknown_command",
        "lifecycle",
        "gateway_mismatch",
        "unknown_device",
    ]
