"""What must hold at every step of every life (rules 2, 3 and 4)."""

from __future__ import annotations

from datetime import datetime, timedelta

from commands.choices import CommandStatus, FailureClass
from commands.lifecycle import VERDICTS, is_verdict
from commands.models import Command, CommandEvent
from commands.services.rerun import ended_by_device
from commands.services.transitions import seconds
from tests.commands.simulation.agenda import START
from tests.commands.simulation.device import Device

S = CommandStatus
# How long a lease lasts, and the sweeps take.
SLACK = timedelta(seconds=45)
WITH_CLASS = VERDICTS - {S.CANCELLED, S.SUPERSEDED} | {S.FAILED}
AT_THE_DEVICE = (S.RECEIVED, S.RUNNING)
BACK = (S.HELD, S.QUEUED, S.SENT)


class BrokenPromise(Exception):
    """A rule that did not hold, in words."""


class Promises:
    """Compares the row with what really happened, after each transaction."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._status = ""
        self._failure_class = ""
        self._opened_at = START
        self._was_at_device = False
        self._end_of_device = ""
        # When an adapter first had it.
        self.claimed_at: datetime | None = None

    def check(self, command: Command, events: list[CommandEvent]) -> None:
        """Check the row after a transaction that wrote it, and its events."""
        self._check_moves(command, events)
        self._check_evidence(command)
        self._check_end(command)
        if is_verdict(self._status, self._failure_class):
            self._opened_at = events[-1].at if events else self._opened_at
        self._status = command.status
        self._failure_class = command.failure_class

    def check_end(self, command: Command | None) -> None:
        """Check what must hold once nothing happens any more."""
        if command is not None and command.ended_at is None:
            raise BrokenPromise(f"it stays {command.status} for ever")

    def allow_again(self) -> None:
        """Note that a person asked for it once more, which opens it."""
        self._was_at_device = False

    def _check_moves(self, command: Command, events: list[CommandEvent]) -> None:
        for event in events:
            if event.status in AT_THE_DEVICE:
                self._was_at_device = True
            elif event.status in BACK:
                if self._was_at_device and not command.is_repeatable:
                    raise BrokenPromise(f"{event.status} again, and not repeatable")
        if self._end_of_device and command.status != self._end_of_device:
            ended = self._end_of_device
            raise BrokenPromise(f"the device said {ended}, now {command.status}")
        changed = self._status and command.status != self._status
        if changed and is_verdict(self._status, self._failure_class):
            if not any(event.actor != "platform" for event in events):
                raise BrokenPromise("a verdict changed without device or person")
        if ended_by_device(command):
            self._end_of_device = command.status

    def _check_evidence(self, command: Command) -> None:
        said, device = self._device.said, self._device
        if command.status == S.SUCCEEDED and "succeeded" not in said:
            raise BrokenPromise("succeeded, and the device has not said so")
        if command.status == S.VERIFIED:
            first = self.claimed_at
            reports = device.reported_wanted_at
            if first is None or all(at < first for at in reports):
                raise BrokenPromise("verified without a report after the publish")
        if command.received_at is not None and not said:
            raise BrokenPromise("received, and the device has said nothing")
        if command.failure_class == FailureClass.REJECTED and "rejected" not in said:
            raise BrokenPromise("rejected, and the device has not said so")
        if command.failure_class == FailureClass.EXECUTION_FAILED:
            if "failed" not in said:
                raise BrokenPromise("failed, and the device has not said so")
        if any(times > 1 for times in device.executions.values()):
            raise BrokenPromise("executed twice")

    def _check_end(self, command: Command) -> None:
        if command.ended_at is None:
            return
        if command.status in WITH_CLASS and not command.failure_class:
            raise BrokenPromise(f"{command.status} without a failure class")
        if ended_by_device(command):
            return
        # A late answer opens it once more, and the device may have begun just before.
        most = max(command.expires_at, self._opened_at) + SLACK
        most += seconds(command, "verify_timeout")
        most += 2 * seconds(command, "execute_timeout")
        if command.ended_at > most:
            raise BrokenPromise(f"ended {command.ended_at - most} after its deadline")
