"""The only place that writes a command's status: lock rows, move them, write at once.

A batch is locked in key order, decided row by row in memory, and written by one UPDATE
and one INSERT of events. The guard is lifecycle.may_enter() under the lock, so of two
racing workers one wins each row and neither can overwrite the other's outcome.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import connection

from commands.choices import CommandStatus, FailureClass, WaitsFor
from commands.lifecycle import FINAL, is_verdict, may_enter
from commands.models import Command, CommandEvent, OutcomeToTell

PLATFORM = "platform"
DEVICE = "device"

S = CommandStatus

# What may change on a command after it was made, with the SQL type of its array.
COLUMNS = {
    "status": "varchar",
    "status_since": "timestamptz",
    "waits_for": "varchar",
    "failure_class": "varchar",
    "late": "boolean",
    "expires_at": "timestamptz",
    "due_at": "timestamptz",
    "claim_token": "uuid",
    "claimed_until": "timestamptz",
    "attempt_count": "integer",
    "uncounted_attempts": "integer",
    "sent_at": "timestamptz",
    "received_at": "timestamptz",
    "running_at": "timestamptz",
    "succeeded_at": "timestamptz",
    "verified_at": "timestamptz",
    "ended_at": "timestamptz",
    "result": "jsonb",
}
_SET = ", ".join(f"{name} = new.{name}" for name in COLUMNS)
_ARRAYS = ", ".join(f"%s::{kind}[]" for kind in COLUMNS.values())
UPDATE = f"""
    UPDATE commands_command AS old SET {_SET}
    FROM unnest(%s::bigint[], {_ARRAYS}) AS new(id, {", ".join(COLUMNS)})
    WHERE old.id = new.id
"""


def lock_commands(
    ids: Collection[int], *, skip_locked: bool = False
) -> dict[int, Command]:
    """Lock commands in key order; what another worker holds is left out on request."""
    if not ids:
        return {}
    rows = (
        Command.objects.filter(pk__in=ids)
        .order_by("pk")  # every writer locks in this order: no deadlocks among them
        .select_for_update(skip_locked=skip_locked)
    )
    return {command.pk: command for command in rows}


@dataclass
class Moves:
    """Changes of locked commands, written together by :meth:`write`."""

    now: datetime
    changed: dict[int, Command] = field(default_factory=dict)
    events: list[CommandEvent] = field(default_factory=list)

    def touch(self, command: Command) -> None:
        """Have the row written, without an event."""
        self.changed[command.pk] = command

    def note(
        self,
        command: Command,
        cause: str,
        *,
        actor: str = PLATFORM,
        detail: dict[str, Any] | None = None,
    ) -> None:
        """Record a remark at the status where the command stands."""
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
        """Move a locked command if it may enter ``to``; say whether it did."""
        if not may_enter(
            to, status=command.status, failure_class=command.failure_class
        ):
            return False
        corrected = is_verdict(command.status, command.failure_class)
        command.late = command.late or (corrected and actor == DEVICE)
        command.status = to
        command.status_since = self.now
        command.failure_class = failure_class
        # An expired command keeps what it waited for: a job tells from it that the
        # member was never there.
        if to != S.EXPIRED:
            command.waits_for = waits_for
        is_final = to in FINAL or (to == S.SUCCEEDED and command.expectation is None)
        command.ended_at = self.now if is_final else None
        command.due_at = None if is_final else due_at
        if to in (S.QUEUED, S.HELD):
            # The fence: whoever held it can mark nothing any more.
            command.claim_token = None
            command.claimed_until = None
        self.note(command, cause, actor=actor, detail=detail)
        return True

    def write(self) -> None:
        """Write every changed row and every event."""
        if self.changed:
            rows = [self.changed[pk] for pk in sorted(self.changed)]
            arrays = [_column(rows, name) for name in COLUMNS]
            with connection.cursor() as cursor:
                cursor.execute(UPDATE, [[row.pk for row in rows], *arrays])
            ended = {row.device_id for row in rows if row.ended_at is not None}
            OutcomeToTell.objects.bulk_create(
                OutcomeToTell(device_id=device_id) for device_id in sorted(ended)
            )
        CommandEvent.objects.bulk_create(self.events)


def fill_times(command: Command, *, at: datetime, upto: CommandStatus) -> None:
    """Fill the times of the steps that a device's word implies."""
    command.sent_at = command.sent_at or at
    command.received_at = command.received_at or at
    if upto in (S.RUNNING, S.SUCCEEDED, S.VERIFIED):
        command.running_at = command.running_at or at
    if upto in (S.SUCCEEDED, S.VERIFIED):
        command.succeeded_at = command.succeeded_at or at
    if upto == S.VERIFIED:
        command.verified_at = command.verified_at or at


def seconds(command: Command, name: str) -> timedelta:
    """Return the duration that the command's policy gives to a step."""
    return timedelta(seconds=command.policy[f"{name}_seconds"])


def _column(rows: Iterable[Command], name: str) -> list[Any]:
    values = [getattr(row, name) for row in rows]
    if COLUMNS[name] == "jsonb":
        return [None if value is None else json.dumps(value) for value in values]
    return [str(v) if COLUMNS[name] == "varchar" else v for v in values]
