"""What counts as evidence: a report after the publish; nothing is filled in."""

from __future__ import annotations

from datetime import timedelta

import pytest

from commands.exceptions import TransitionRefused
from commands.models import Command
from commands.selectors.commands import list_events
from commands.services.actions import retry_command
from commands.services.dispatch import OutgoingCommand, mark_not_sent, mark_sent
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

pytestmark = pytest.mark.django_db
INTERVAL = {"interval": 5}


def known_steps(command: Command) -> list[str]:
    """Return the steps of a command that have a time."""
    found = fresh(command)
    steps = ("sent", "received", "running", "succeeded", "verified")
    return [step for step in steps if getattr(found, f"{step}_at") is not None]


def last_cause(command: Command) -> str:
    return list(list_events(command))[-1].cause


def marked(links: list[OutgoingCommand]) -> None:
    mark_sent([(link.command_id, link.token) for link in links], now())


def test_a_report_from_before_the_publish_verifies_nothing() -> None:
    unit = online_unit()
    unit.report(1, INTERVAL)
    command = ask(unit, "set_config", INTERVAL)
    deliver()

    unit.result(command)

    assert fresh(command).status == "succeeded"
    sweep(now() + timedelta(minutes=11))
    assert fresh(command).failure_class == "unverified"
    unit.report(2, INTERVAL)
    assert (fresh(command).status, fresh(command).late) == ("verified", True)


def test_a_report_verifies_nothing_that_was_claimed_and_never_published() -> None:
    unit = online_unit()
    command = ask(unit, "set_config", INTERVAL)
    (link,) = claim()

    unit.report(1, INTERVAL)
    assert fresh(command).status == "queued"
    mark_not_sent([(link.command_id, link.token)], "connection lost", now())

    assert fresh(command).status == "queued"
    assert known_steps(command) == []


def test_a_report_before_the_puback_verifies_when_the_puback_is_recorded() -> None:
    unit = online_unit()
    command = ask(unit, "set_config", INTERVAL)
    links = claim()
    unit.report(1, INTERVAL)

    marked(links)

    assert fresh(command).status == "verified"


def test_a_report_and_a_result_verify_although_the_puback_is_lost() -> None:
    unit = online_unit()
    command = ask(unit, "set_config", INTERVAL)
    claim()
    unit.report(1, INTERVAL)

    unit.result(command)

    assert fresh(command).status == "verified"
    assert known_steps(command) == ["succeeded", "verified"]


def test_a_report_alone_fills_in_no_time_and_says_that_it_infers() -> None:
    unit = online_unit()
    command = ask(unit, "set_config", INTERVAL)
    deliver()

    unit.report(1, INTERVAL)

    assert known_steps(command) == ["sent", "verified"]
    assert "inferred" in last_cause(command)


def test_a_result_after_the_verification_is_kept() -> None:
    unit = online_unit()
    command = ask(unit, "set_config", INTERVAL)
    deliver()
    unit.report(1, INTERVAL)

    unit.result(command, payload={"applied": True})
    unit.result(command, payload={"applied": "again"})

    command = fresh(command)
    assert (command.status, command.late) == ("verified", False)
    assert command.succeeded_at is not None
    assert (command.result or {})["payload"] == {"applied": True}


@pytest.mark.parametrize(
    ("status", "known"),
    [("succeeded", ["sent", "succeeded"]), ("failed", ["sent"])],
)
def test_a_result_without_an_acknowledgement_leaves_the_receipt_unknown(
    status: str, known: list[str]
) -> None:
    unit = online_unit()
    command = ask(unit)
    deliver()

    unit.result(command, status)

    assert fresh(command).status == status
    assert known_steps(command) == known
    causes = [event.cause for event in list_events(command)]
    assert any("receipt is inferred" in cause for cause in causes)


def test_a_command_that_the_device_started_may_have_run() -> None:
    unit = online_unit()
    command = ask(unit)
    deliver()
    unit.say(f"command/{command.public_id}/progress", {"payload": {"percent": 5}})
    sweep(now() + timedelta(minutes=10))

    assert known_steps(command) == ["sent", "running"]
    assert fresh(command).status == "unknown"
    with pytest.raises(TransitionRefused, match="may have run"):
        retry_command(command=fresh(command), actor=None, reason="")


def ended_unverified() -> tuple[Unit, Command]:
    unit = online_unit()
    command = ask(unit, "set_config", INTERVAL, attempts=1)
    deliver()
    sweep(now() + timedelta(minutes=2))
    assert fresh(command).status == "timed_out"
    return unit, command


@pytest.mark.parametrize(
    ("days", "status"), [(6.9, "verified"), (7.1, "timed_out"), (90, "timed_out")]
)
def test_a_report_corrects_a_verdict_for_seven_days(days: float, status: str) -> None:
    unit, command = ended_unverified()

    unit.report(1, INTERVAL, at=now() + timedelta(days=days, minutes=2))

    assert fresh(command).status == status


def test_a_result_with_the_commands_id_corrects_a_verdict_at_any_time() -> None:
    unit, command = ended_unverified()

    unit.result(command, at=now() + timedelta(days=300))

    assert (fresh(command).status, fresh(command).late) == ("succeeded", True)
