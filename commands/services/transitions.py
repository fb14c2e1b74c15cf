"""The only place that writes a command's status: lock rows, move them, write them.

A batch is locked in key order, decided row by row in memory, and written by one UPDATE
and one INSERT of events. lifecycle.may_enter() is checked under the lock: of two racing
workers one wins each row, and neither can overwrite the other's outcome.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from commands.choices import (
    CommandClass,
    CommandStatus,
    FailureClass,
    Lane,
    WaitsFor,
)
from commands.lifecycle import FINAL, is_verdict, may_enter
from commands.models import Command, CommandEvent, Job, OutcomeToTell
from commands.selectors.claimed import ClaimedCommand
from commands.selectors.job_windows import find_openings
from commands.services.end_wakeup import wake_end_waiters
from iotplatform.common import bulk_sql
from state.choices import AttentionKind, AttentionObject
from state.selectors import Sleep, sleeps_of
from state.services.attention import Attention, ask_for_attention, end_attention

PLATFORM = "platform"
DEVICE = "device"

S = CommandStatus
# Who looked for trouble finds none any more.
NO_TROUBLE = frozenset({S.SUCCEEDED, S.VERIFIED, S.CANCELLED, S.SUPERSEDED})

# The columns of a command that may change after it was created.
COLUMNS = (
    "status",
    "status_since",
    "waits_for",
    "failure_class",
    "needs_person",
    "late",
    "expires_at",
    "due_at",
    "clock_stopped_at",
    "lane",
    "claim_token",
    "claimed_until",
    "attempt_count",
    "uncounted_attempts",
    "sent_at",
    "received_at",
    "running_at",
    "succeeded_at",
    "verified_at",
    "ended_at",
    "result",
)
UPDATE = bulk_sql.update_by_key(Command, *COLUMNS)


def lock_commands(
    ids: Collection[int], *, skip_locked: bool = False
) -> dict[int, Command]:
    """Lock commands in key order; on request skip those that another worker locks."""
    if not ids:
        return {}
    rows = (
        Command.objects.filter(pk__in=ids)
        .order_by("pk")  # every writer locks in this order: no deadlocks among them
        .select_for_update(skip_locked=skip_locked)
    )
    return {command.pk: command for command in rows}


def lock_claims(claims: Collection[tuple[UUID, UUID]]) -> list[Command]:
    """Lock the commands whose token is still the claim's; by public id and token."""
    wanted = dict(claims)
    ids = Command.objects.filter(public_id__in=wanted).values_list("pk", flat=True)
    locked = lock_commands(list(ids)).values()
    return [c for c in locked if c.claim_token == wanted[c.public_id]]


@dataclass
class Moves:
    """Changes of locked commands, written together by :meth:`write`."""

    now: datetime
    changed: dict[int, Command] = field(default_factory=dict)
    events: list[CommandEvent] = field(default_factory=list)
    asked: dict[int, Attention] = field(default_factory=dict)
    attended: set[UUID] = field(default_factory=set)
    # Members of jobs that may expire later than before.
    extended: list[Command] = field(default_factory=list)

    def touch(self, command: Command) -> None:
        """Write the row, without an event."""
        self.changed[command.pk] = command

    def note(
        self,
        command: Command,
        cause: str,
        *,
        actor: str = PLATFORM,
        detail: dict[str, Any] | None = None,
    ) -> None:
        """Record an event without changing the command's status."""
        self.touch(command)
        self.events.append(
            CommandEvent(
                tenant_id=command.tenant_id,
                device_id=command.device_id,
                command_id=command.pk,
                at=self.now,
                status=command.status,
                actor=actor,
                cause=cause,
                detail=detail,
            )
        )

    def move(
        self,
        command: Command,
        to: CommandStatus,
        *,
        cause: str,
        actor: str = PLATFORM,
        due_at: datetime | None = None,
        failure_class: FailureClass | str = "",
        waits_for: WaitsFor = WaitsFor.NOTHING,
        detail: dict[str, Any] | None = None,
    ) -> bool:
        """Move a locked command if it may enter ``to``; return whether it did."""
        if not may_enter(
            to, status=command.status, failure_class=command.failure_class
        ):
            return False
        is_approved = command.waits_for == WaitsFor.APPROVAL and to != S.HELD
        if command.ended_at is not None or to in NO_TROUBLE or is_approved:
            self.need_no_person(command)
        corrected = is_verdict(command.status, command.failure_class)
        command.late = command.late or (corrected and actor == DEVICE)
        command.status = to
        command.status_since = self.now
        command.failure_class = failure_class
        # An expired command keeps what it waited for: from that a job knows that the
        # member was never online.
        if to != S.EXPIRED:
            command.waits_for = waits_for
        if to != S.HELD:
            self.start_clock(command)
        is_final = to in FINAL or (to == S.SUCCEEDED and command.expectation is None)
        command.ended_at = self.now if is_final else None
        command.due_at = None if is_final else due_at
        if to == S.QUEUED:
            command.lane = lane_of(command)
        if to in (S.QUEUED, S.HELD):
            # The fence: an adapter that claimed it before can no longer change it.
            command.claim_token = None
            command.claimed_until = None
        self.note(command, cause, actor=actor, detail=detail)
        return True

    def need_person(
        self,
        command: Command,
        reason: str,
        kind: AttentionKind = AttentionKind.COMMAND,
    ) -> None:
        """Enter a command into the attention inbox, unless it is in it already."""
        if command.needs_person:
            return
        command.needs_person = True
        self.touch(command)
        self.asked[command.pk] = Attention(
            tenant_id=command.tenant_id,
            kind=kind,
            object_kind=AttentionObject.COMMAND,
            object_id=command.public_id,
            episode=self.now.isoformat(),
            device_id=command.device_id,
            reason=reason,
            at=self.now,
        )

    def need_no_person(self, command: Command) -> None:
        """Let the inbox forget a command that was answered or is tried again."""
        if not command.needs_person:
            return
        command.needs_person = False
        self.touch(command)
        if self.asked.pop(command.pk, None) is None:
            self.attended.add(command.public_id)

    def stop_clock(self, command: Command, sleep: Sleep) -> None:
        """Let no time pass for a command until its device must have woken."""
        since = command.clock_stopped_at or max(sleep.since, command.created_at)
        command.clock_stopped_at = since
        command.due_at = sleep.wakes_at
        self.touch(command)

    def start_clock(self, command: Command) -> None:
        """Go on after a sleep: the time that it took does not count."""
        if command.clock_stopped_at is not None:
            slept = max(timedelta(), self.now - command.clock_stopped_at)
            self.extend(command, command.expires_at + slept)
            command.clock_stopped_at = None
            self.touch(command)

    def extend(self, command: Command, expires_at: datetime) -> None:
        """Let a command expire later, but not after the deadline of its job."""
        command.expires_at = expires_at
        if command.job_id is not None:
            self.extended.append(command)
        self.touch(command)

    def waiting_for_devices(self) -> list[Command]:
        """Return the changed commands that wait for a device, their clocks running."""
        return [
            command
            for command in self.changed.values()
            if command.status == S.HELD
            and command.waits_for == WaitsFor.DEVICE
            and command.clock_stopped_at is None
        ]

    def stop_clocks(self, sleeps: Mapping[int, Sleep]) -> None:
        """Stop the clocks of those whose device sleeps; by the device's key."""
        for command in self.waiting_for_devices():
            if sleep := sleeps.get(command.device_id):
                self.stop_clock(command, sleep)

    def write(self) -> None:
        """Write every changed row and every event."""
        self._keep_deadlines()
        self._keep_windows()
        waiting = {command.device_id for command in self.waiting_for_devices()}
        self.stop_clocks(sleeps_of(waiting, now=self.now))
        self._ask_for_approvals()
        if self.changed:
            rows = [self.changed[pk] for pk in sorted(self.changed)]
            values = [(row.pk, *_values(row)) for row in rows]
            bulk_sql.run(UPDATE, bulk_sql.columns_of(values, 1 + len(COLUMNS)))
            ended = {row.device_id for row in rows if row.ended_at is not None}
            OutcomeToTell.objects.bulk_create(
                OutcomeToTell(device_id=device_id) for device_id in sorted(ended)
            )
            if ended:
                wake_end_waiters()
        CommandEvent.objects.bulk_create(self.events)
        end_attention(self.attended, at=self.now)
        ask_for_attention(list(self.asked.values()))

    def _keep_deadlines(self) -> None:
        """Let nothing that was extended outlive the deadline of its job."""
        if not self.extended:
            return
        jobs = Job.objects.filter(
            pk__in={command.job_id for command in self.extended},
            deadline__isnull=False,
        )
        deadlines = dict(jobs.values_list("pk", "deadline"))
        for command in self.extended:
            deadline = deadlines.get(command.job_id or 0)
            if deadline is None or command.expires_at <= deadline:
                continue
            command.expires_at = deadline
            if command.status == S.HELD and command.due_at is not None:
                command.due_at = min(command.due_at, deadline)

    def _keep_windows(self) -> None:
        """Let what a job queues outside the window of its site wait for the next one.

        A device that was away, or a retry, comes at any time of day.
        """
        queued = {
            (command.job_id, command.device_id): command
            for command in self.changed.values()
            if command.status == S.QUEUED
            and command.job_id is not None
            and command.claim_token is None
        }
        if not queued:
            return
        for member, opens in find_openings(queued, now=self.now).items():
            command = queued[member]
            command.due_at = max(command.due_at or opens, opens)

    def _ask_for_approvals(self) -> None:
        """Tell people of the commands that wait for a second person."""
        for command in list(self.changed.values()):
            if command.status == S.HELD and command.waits_for == WaitsFor.APPROVAL:
                reason = "it waits for the approval of a second person"
                self.need_person(command, reason, AttentionKind.APPROVAL)


def lane_of(command: Command) -> Lane:
    """Return the lane in which a command waits for an adapter."""
    if command.lane == Lane.BY_HAND:
        return Lane.BY_HAND  # until its job goes on
    if command.command_class == CommandClass.CONTROL and command.job_id is None:
        return Lane.CONTROL
    if command.attempt_count > command.uncounted_attempts:
        return Lane.RETRY
    return Lane.PERSON if command.job_id is None else Lane.JOB


def seconds(command: Command | ClaimedCommand, name: str) -> timedelta:
    """Return the duration that the command's policy gives to a step."""
    return timedelta(seconds=command.policy[f"{name}_seconds"])


def _values(command: Command) -> list[Any]:
    values = [getattr(command, name) for name in COLUMNS]
    if command.result is not None:
        values[COLUMNS.index("result")] = json.dumps(command.result)
    return values
