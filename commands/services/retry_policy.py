"""What follows a failed attempt: another attempt, the end, or escalation."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta

from django.db.models import Count, QuerySet

from commands.choices import (
    AttemptOutcome,
    CommandClass,
    CommandStatus,
    FailureClass,
    OnFailure,
    WaitsFor,
)
from commands.models import Attempt, Command
from commands.services.transitions import Moves, seconds

S = CommandStatus
# A message that makes its adapter crash must not do so for ever.
MAX_LOSSES = 5
MAX_BACKOFF = timedelta(hours=1)

RETRIES = frozenset({OnFailure.RETRY_NOW, OnFailure.RETRY_LATER})

END_STATUS = {
    FailureClass.UNREACHABLE: S.TIMED_OUT,
    FailureClass.NO_ACK: S.TIMED_OUT,
    FailureClass.ADAPTER_ERROR: S.TIMED_OUT,
    FailureClass.EXECUTION_TIMEOUT: S.TIMED_OUT,
    FailureClass.UNKNOWN_OUTCOME: S.UNKNOWN,
    FailureClass.UNVERIFIED: S.FAILED,
    FailureClass.EXPIRED: S.EXPIRED,
}
# Escalated to a person when their attempts are used up (design, the class table).
ESCALATED_AT_THE_END = frozenset({CommandClass.OPERATION})


def retry_or_end(
    command: Command,
    moves: Moves,
    failure: FailureClass,
    *,
    cause: str,
    losses: int = 0,
) -> None:
    """Queue another attempt if the policy and the time left allow it, else end."""
    answer = command.policy["on_failure"].get(failure, OnFailure.NONE)
    if answer in RETRIES and _has_attempts_left(command, failure, losses):
        due_at = moves.now
        if answer == OnFailure.RETRY_LATER:
            due_at += backoff(command)
        if due_at < command.expires_at:
            moves.move(
                command,
                S.QUEUED,
                cause=f"{cause}; next attempt at {due_at:%T} UTC",
                due_at=due_at,
            )
            return
    end(command, moves, failure, cause=cause)


def end(command: Command, moves: Moves, failure: FailureClass, *, cause: str) -> None:
    """End a command with our verdict, and escalate it if its policy says so."""
    answer = command.policy["on_failure"].get(failure, OnFailure.NONE)
    moved = moves.move(command, END_STATUS[failure], cause=cause, failure_class=failure)
    used_up = answer in RETRIES and command.command_class in ESCALATED_AT_THE_END
    if moved and (answer == OnFailure.ESCALATE or used_up):
        escalate(command, moves)


def follow_device_failure(command: Command, moves: Moves) -> None:
    """Apply the policy to a command that the device itself has just ended.

    It stays ended. If the policy wants another attempt, its row becomes due once more,
    and the sweep creates a linked new command with the attempts that are left.
    """
    answer = command.policy["on_failure"].get(command.failure_class, OnFailure.NONE)
    if answer == OnFailure.ESCALATE:
        escalate(command, moves)
    elif answer in RETRIES and attempts_left(command) > 0:
        pause = backoff(command) if answer == OnFailure.RETRY_LATER else timedelta()
        command.due_at = moves.now + pause


def attempts_left(command: Command) -> int:
    used = command.attempt_count - command.uncounted_attempts
    return int(command.policy["attempts"]) - used


def escalate(command: Command, moves: Moves) -> None:
    """Record that a person must look at it."""
    moves.note(
        command,
        f"escalated to a person: {command.failure_class or command.status}",
        detail={"escalated": True},
    )


def wait_for_device(command: Command, moves: Moves, *, cause: str) -> None:
    """Hold a command until its device is online again; the attempt is not counted."""
    command.uncounted_attempts = min(
        command.uncounted_attempts + 1, command.attempt_count
    )
    moves.move(
        command,
        S.HELD,
        cause=f"{cause}; waits for the device",
        due_at=command.expires_at,
        waits_for=WaitsFor.DEVICE,
    )


def backoff(command: Command) -> timedelta:
    """Return an exponential pause with jitter: a fleet must not retry all at once."""
    base = seconds(command, "backoff")
    steps = max(0, command.attempt_count - command.uncounted_attempts - 1)
    full = min(base * 2 ** min(steps, 12), MAX_BACKOFF)
    return timedelta(seconds=full.total_seconds() * random.uniform(0.5, 1.0))


def count_losses(commands: Collection[Command]) -> dict[int, int]:
    """Return how many attempts of each command were never sent."""
    rows = (
        Attempt.objects.filter(
            command__in=commands,
            outcome__in=[AttemptOutcome.LOST, AttemptOutcome.NOT_SENT],
        )
        .values("command_id")
        .annotate(losses=Count("id"))
        .values_list("command_id", "losses")
    )
    return dict(rows)


def newest_attempts(commands: Collection[Command]) -> Iterator[QuerySet[Attempt]]:
    """Yield the newest attempt of each command, grouped by the attempt's number.

    By number, because PostgreSQL plans a join to the commands badly while its
    statistics lag behind a table that grows fast.
    """
    by_number: dict[int, list[int]] = defaultdict(list)
    for command in commands:
        by_number[command.attempt_count].append(command.pk)
    for number, ids in sorted(by_number.items()):
        yield Attempt.objects.filter(command_id__in=ids, number=number)


def close_attempts(
    commands: Sequence[Command], outcome: AttemptOutcome, *, error: str = ""
) -> None:
    """Set the outcome of each command's newest attempt, unless the device answered."""
    for attempts in newest_attempts(commands):
        attempts.filter(
            outcome__in=[AttemptOutcome.CLAIMED, AttemptOutcome.SENT]
        ).update(outcome=outcome, error=error)


def mark_attempts_answered(commands: Collection[Command], at: datetime) -> None:
    """Record that the device answered the newest attempt of each command."""
    for attempts in newest_attempts(commands):
        attempts.filter(received_at__isnull=True).update(
            outcome=AttemptOutcome.RECEIVED, received_at=at
        )


def _has_attempts_left(command: Command, failure: FailureClass, losses: int) -> bool:
    if failure == FailureClass.ADAPTER_ERROR:
        return losses < MAX_LOSSES
    return attempts_left(command) > 0
