"""In any order of steps and responses, a command ends, stays ended, and is recorded."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from commands.choices import CommandStatus, FailureClass
from commands.exceptions import TransitionRefused
from commands.lifecycle import is_verdict, may_enter
from commands.models import Attempt, Command, CommandEvent
from commands.selectors.commands import list_events
from commands.services.actions import cancel_command, retry_command
from commands.services.dispatch import (
    OutgoingCommand,
    mark_not_sent,
    mark_sent,
    release_claims,
)
from iotplatform.common.problems import Conflict
from tests.commands.units import ask, claim, fresh, now, online_unit, sweep

pytestmark = pytest.mark.django_db

ASKED: dict[str, dict[str, Any]] = {
    "identify": {},
    "reboot": {},
    "set_config": {"interval": 5},
    "update_firmware": {"version": "2.0.0"},
}
POLICY = {
    "receive_timeout_seconds": 20,
    "execute_timeout_seconds": 60,
    "verify_timeout_seconds": 60,
    "expires_in_seconds": 600,
    "attempts": 3,
    "backoff_seconds": 10,
}
SUCCESS = ("succeeded", "verified")


class OneCommand(RuleBasedStateMachine):
    """One command, with an adapter, a device, a person and the clock acting on it."""

    @initialize(name=st.sampled_from(sorted(ASKED)))
    def ask_for_it(self, name: str) -> None:
        Attempt.objects.all().delete()
        CommandEvent.objects.all().delete()
        Command.objects.all().delete()
        self.at = now()
        self.version = 0
        self.links: list[OutgoingCommand] = []
        self.ended_by_device: tuple[str, str] | None = None
        self.unit = online_unit()
        self.command = ask(self.unit, name, ASKED[name], **POLICY)

    def moment(self) -> datetime:
        self.at += timedelta(milliseconds=10)
        return self.at

    @rule()
    def adapter_claims(self) -> None:
        self.links += claim(at=self.moment(), lease_seconds=10)

    @rule(which=st.integers(0, 5))
    def broker_accepts_a_claim_maybe_an_old_one(self, which: int) -> None:
        if which < len(self.links):
            link = self.links[which]
            mark_sent([(link.command_id, link.token)], self.moment())

    @rule(which=st.integers(0, 5))
    def publish_fails(self, which: int) -> None:
        if which < len(self.links):
            link = self.links[which]
            mark_not_sent([(link.command_id, link.token)], "gone", self.moment())

    @rule(status=st.sampled_from(["received", "accepted", "rejected", "deferred"]))
    def device_acknowledges(self, status: str) -> None:
        if self.links:
            self.unit.acknowledge(self.command, status, at=self.moment())

    @rule()
    def device_reports_progress(self) -> None:
        if self.links:
            topic = f"command/{self.command.public_id}/progress"
            self.unit.say(topic, {"payload": {"percent": 5}}, at=self.moment())

    @rule(status=st.sampled_from(["succeeded", "failed"]))
    def device_sends_a_result(self, status: str) -> None:
        if self.links:
            self.unit.result(self.command, status, at=self.moment())

    @rule(is_so=st.booleans())
    def device_reports(self, is_so: bool) -> None:
        self.version += 1
        document = {"interval": 5, "firmware": "2.0.0"} if is_so else {}
        self.unit.report(self.version, document, at=self.moment())

    @rule(status=st.sampled_from(["online", "goodbye"]))
    def device_comes_or_goes(self, status: str) -> None:
        self.unit.say("status", {"status": status}, at=self.moment())

    @rule(which=st.integers(0, 5))
    def adapter_gives_a_claim_back(self, which: int) -> None:
        if which < len(self.links):
            link = self.links[which]
            release_claims([(link.command_id, link.token)], now=self.moment())

    @rule(minutes=st.integers(1, 60))
    def device_sleeps(self, minutes: int) -> None:
        until = self.at + timedelta(minutes=minutes)
        body = {"status": "sleeping", "until": int(until.timestamp() * 1_000)}
        self.unit.say("status", body, at=self.moment())

    @rule()
    def person_cancels(self) -> None:
        try:
            cancel_command(command=self.command, actor=None, reason="")
        except TransitionRefused:
            pass

    @rule()
    def person_retries(self) -> None:
        before = fresh(self.command)
        ended_by_device = before.status == "failed" and not is_verdict(
            before.status, before.failure_class
        )
        if ended_by_device:
            return  # the retry would be another command
        try:
            retry_command(command=before, actor=None, reason="")
        except Conflict:
            pass

    @rule(seconds=st.integers(1, 120))
    def time_passes(self, seconds: int) -> None:
        self.at += timedelta(seconds=seconds)
        sweep(self.at)

    @invariant()
    def a_command_that_the_device_ended_never_changes(self) -> None:
        command = fresh(self.command)
        outcome = (command.status, command.failure_class)
        if self.ended_by_device is not None:
            assert outcome == self.ended_by_device
        elif command.ended_at and not is_verdict(*outcome):
            self.ended_by_device = outcome

    @invariant()
    def what_is_verified_was_published(self) -> None:
        command = fresh(self.command)
        assert command.status != "verified" or command.is_published

    @invariant()
    def a_clock_that_stands_still_belongs_to_an_open_command(self) -> None:
        command = fresh(self.command)
        assert command.clock_stopped_at is None or command.is_open

    @invariant()
    def events_match_the_status(self) -> None:
        events = list(list_events(self.command).order_by("pk"))
        status = events[0].status
        for event in events[1:]:
            if event.status != status:
                # Only "unverified" needs the failure class besides the status.
                unverified = FailureClass.UNVERIFIED if status == "failed" else ""
                assert may_enter(
                    CommandStatus(event.status), status=status, failure_class=unverified
                )
            status = event.status
        assert status == fresh(self.command).status

    def teardown(self) -> None:
        """Every command ends, even if only the clock acts on it."""
        if not hasattr(self, "command"):
            return
        for _ in range(40):
            self.at += timedelta(minutes=5)
            sweep(self.at)
        command = fresh(self.command)
        assert command.ended_at is not None, command.status
        verdictless = (*SUCCESS, "cancelled", "superseded")
        assert bool(command.failure_class) == (command.status not in verdictless)


def test_any_order_of_steps_and_responses_keeps_the_guarantees(is_long: bool) -> None:
    run_state_machine_as_test(
        OneCommand,
        settings=settings(
            max_examples=300 if is_long else 25,
            stateful_step_count=40 if is_long else 20,
            deadline=None,
            derandomize=not is_long,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
