"""What follows a failed attempt: another attempt, the end, or escalation."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta

from django.db.models import QuerySet

from commands.choices import (
    AttemptOutcome,
    CommandClass,
    CommandStatus,
    FailureClass,
    OnFailure,
    WaitsFor,
)
from commands.failure_rules import FailureRule, choose_rule, is_retry
from commands.models import Attempt, Command
from commands.services.delivery_minutes import count_unanswered
from commands.services.transitions import Moves, seconds
from iotplatform.common import bulk_sql
from state.selectors import GATEWAY_AWAY

S = CommandStatus
# A message that makes its adapter crash must not do so for ever: it ends after so many
# losses in a row, while other messages got through.
MAX_LOSSES = 5
# An adapter that refuses at once must not be asked again in a loop.
LOSS_PAUSE = timedelta(seconds=1)
MAX_BACKOFF = timedelta(hours=1)

# So many attempts of an adapter without an answer say that its path is in trouble.
UNANSWERED = frozenset(
    {
        AttemptOutcome.NO_ACK,
        AttemptOutcome.NOT_SENT,
        AttemptOutcome.LOST,
        AttemptOutcome.INTERRUPTED,
    }
)

END_STATUS = {
    FailureClass.UNREACHABLE: S.TIMED_OUT,
    FailureClass.GATEWAY_UNREACHABLE: S.TIMED_OUT,
    FailureClass.NO_ACK: S.TIMED_OUT,
    FailureClass.ADAPTER_ERROR: S.TIMED_OUT,
    FailureClass.EXECUTION_TIMEOUT: S.TIMED_OUT,
    FailureClass.UNKNOWN_OUTCOME: S.UNKNOWN,
    FailureClass.UNVERIFIED: S.FAILED,
    FailureClass.EXPIRED: S.EXPIRED,
}
# Escalated to a person when their attempts are used up (design, the class table).
ESCALATED_AT_THE_END = frozenset({CommandClass.OPERATION})

# The newest attempts of these commands whose adapter sent nothing claimed since. Whole
# batches are claimed at one instant, so the adapter is looked at once a batch.
_INTERRUPTED = """
    WITH newest AS MATERIALIZED (
        SELECT v.id, a.adapter, a.claimed_at
        FROM unnest(%s::bigint[], %s::int[]) AS v(id, number)
        CROSS JOIN LATERAL (
            SELECT adapter, claimed_at FROM commands_attempt
            WHERE command_id = v.id AND number = v.number OFFSET 0
        ) a
    ), claims AS MATERIALIZED (
        SELECT c.adapter, c.claimed_at, EXISTS (
            SELECT FROM commands_attempt o
            WHERE o.claimed_at >= c.claimed_at AND o.adapter = c.adapter
                AND o.sent_at IS NOT NULL
        ) AS got_through
        FROM (SELECT DISTINCT adapter, claimed_at FROM newest) c
    )
    SELECT id FROM newest JOIN claims USING (adapter, claimed_at)
    WHERE NOT got_through
"""
_CLOSE = """
    UPDATE commands_attempt SET outcome = %s, error = %s
    WHERE id = ANY(ARRAY(
        SELECT a.id FROM unnest(%s::bigint[], %s::int[]) AS v(id, number)
        CROSS JOIN LATERAL (
            SELECT id FROM commands_attempt
            WHERE command_id = v.id AND number = v.number OFFSET 0
        ) a
    )) AND outcome IN ('claimed', 'sent')
    RETURNING adapter
"""
_LOSSES_IN_A_ROW = """
    SELECT v.id, count(*) FROM unnest(%s::bigint[]) AS v(id)
    CROSS JOIN LATERAL (
        SELECT number, outcome FROM commands_attempt WHERE command_id = v.id OFFSET 0
    ) a
    CROSS JOIN LATERAL (
        SELECT coalesce(max(number), 0) AS number FROM commands_attempt
        WHERE command_id = v.id AND outcome IN ('sent', 'received', 'no_ack')
    ) sent
    WHERE a.outcome IN ('lost', 'not_sent') AND a.number > sent.number
    GROUP BY v.id
"""


def retry_or_end(
    command: Command,
    moves: Moves,
    failure: FailureClass,
    *,
    cause: str,
) -> None:
    """Queue another attempt if the policy and the time left allow it, else end."""
    rule = rule_for(command, failure)
    if is_retry(rule.answer) and attempts_left(command) > 0:
        due_at = moves.now
        if rule.answer == OnFailure.RETRY_LATER:
            due_at += backoff(command)
        if due_at < command.expires_at:
            moves.move(
                command,
                S.QUEUED,
                cause=f"{cause}; {rule.text}; next attempt at {due_at:%T} UTC",
                due_at=due_at,
                detail=rule.detail,
            )
            return
    end(command, moves, failure, cause=cause)


def retry_after_loss(
    command: Command, moves: Moves, *, cause: str, losses: int
) -> None:
    """Queue a command again that an adapter could not send; it counts as no attempt.

    An interruption ends nothing: only ``losses`` of this message alone do, or expiry.
    """
    command.uncounted_attempts += 1
    if losses >= MAX_LOSSES:
        end(command, moves, FailureClass.ADAPTER_ERROR, cause=cause)
        return
    if command.expires_at <= moves.now:
        end(command, moves, FailureClass.EXPIRED, cause=f"{cause}; it expired")
        return
    rule = rule_for(command, FailureClass.ADAPTER_ERROR)
    pause = timedelta() if rule.answer == OnFailure.RETRY_NOW else backoff(command)
    due_at = moves.now + max(pause, LOSS_PAUSE)
    moves.move(
        command,
        S.QUEUED,
        cause=f"{cause}; sent again",
        due_at=due_at if due_at < command.expires_at else moves.now,
    )


def end(
    command: Command,
    moves: Moves,
    failure: FailureClass,
    *,
    cause: str,
    to: CommandStatus | None = None,
) -> None:
    """End a command with our verdict, and escalate it if its policy says so."""
    rule = rule_for(command, failure)
    moved = moves.move(
        command,
        to or END_STATUS[failure],
        cause=f"{cause}; {outcome_text(command, rule)}",
        failure_class=failure,
        detail=rule.detail,
    )
    if not moved:
        return
    reason = f"{command.get_status_display()}: {cause}"
    is_used_up = is_retry(rule.answer) and command.command_class in ESCALATED_AT_THE_END
    if rule.answer == OnFailure.ESCALATE or is_used_up:
        escalate(command, moves, reason=reason)
    elif command.status == S.UNKNOWN:
        moves.need_person(command, reason)


def follow_device_failure(command: Command, moves: Moves, rule: FailureRule) -> None:
    """Apply a rule to a command that the device itself has just ended.

    It stays ended. If the rule wants another attempt, its row becomes due once more,
    and the sweep creates a linked new command with the attempts that are left.
    """
    if rule.answer == OnFailure.ESCALATE:
        escalate(command, moves, reason=_device_failure(command))
    elif is_retry(rule.answer) and attempts_left(command) > 0:
        pause = timedelta()
        if rule.answer == OnFailure.RETRY_LATER:
            pause = backoff(command)
        command.due_at = moves.now + pause


def rule_for(
    command: Command, failure: FailureClass, code: str | int | None = None
) -> FailureRule:
    """Return what its definition and policy say of a failure.

    ``code`` is the device's error code.
    """
    return choose_rule(
        policy=command.policy, rules=command.failure_rules, failure=failure, code=code
    )


def outcome_text(command: Command, rule: FailureRule) -> str:
    """Return the rule of a command that ends, as its event tells it."""
    used_up = is_retry(rule.answer) and attempts_left(command) <= 0
    return f"{rule.text}, but no attempt is left" if used_up else rule.text


def attempts_left(command: Command) -> int:
    used = command.attempt_count - command.uncounted_attempts
    return int(command.policy["attempts"]) - used


def escalate(command: Command, moves: Moves, *, reason: str) -> None:
    """Record that a person must look at it, and why."""
    moves.note(
        command,
        f"escalated to a person: {command.failure_class or command.status}",
        detail={"escalated": True},
    )
    moves.need_person(command, reason)


def _device_failure(command: Command) -> str:
    """Return what the device said of its failure."""
    result = command.result or {}
    said = result.get("reason") or result.get("code")
    label = FailureClass(command.failure_class).label
    return label + (f": {said}" if said not in (None, "") else "")


def wait_for_device(
    command: Command, moves: Moves, *, cause: str, away: str | None = None
) -> None:
    """Hold a command until its device is online again; the attempt is not counted.

    ``away`` says why it cannot be reached now; a child may wait for its gateway.
    """
    command.uncounted_attempts = min(
        command.uncounted_attempts + 1, command.attempt_count
    )
    if away == GATEWAY_AWAY:
        wait_for_gateway(command, moves, cause=cause)
        return
    moves.move(
        command,
        S.HELD,
        cause=f"{cause}; waits for the device",
        due_at=command.expires_at,
        waits_for=WaitsFor.DEVICE,
    )


def wait_for_gateway(command: Command, moves: Moves, *, cause: str) -> None:
    """Hold a command of a child until its gateway is online again."""
    moves.move(
        command,
        S.HELD,
        cause=f"{cause}; its gateway is not online",
        due_at=command.expires_at,
        failure_class=FailureClass.GATEWAY_UNREACHABLE,
        waits_for=WaitsFor.GATEWAY,
    )


def backoff(command: Command) -> timedelta:
    """Return an exponential pause with jitter: a fleet must not retry all at once."""
    base = seconds(command, "backoff")
    steps = max(0, command.attempt_count - command.uncounted_attempts - 1)
    full = min(base * 2 ** min(steps, 12), MAX_BACKOFF)
    return timedelta(seconds=full.total_seconds() * random.uniform(0.5, 1.0))


def close_lost(
    commands: Sequence[Command],
    outcome: AttemptOutcome,
    *,
    at: datetime,
    error: str = "",
) -> dict[int, int]:
    """Close attempts that were not sent; return each command's losses in a row.

    While nothing got through the adapter since the claim, it is an interruption, which
    is no loss of the message.
    """
    if not commands:
        return {}
    ids = [command.pk for command in commands]
    numbers = [command.attempt_count for command in commands]
    interrupted = {pk for (pk,) in bulk_sql.fetch(_INTERRUPTED, [ids, numbers])}
    alone = [command for command in commands if command.pk not in interrupted]
    others = [command for command in commands if command.pk in interrupted]
    close_attempts(alone, outcome, at=at, error=error)
    close_attempts(others, AttemptOutcome.INTERRUPTED, at=at, error=error)
    return dict(bulk_sql.fetch(_LOSSES_IN_A_ROW, [ids]))


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
    commands: Sequence[Command],
    outcome: AttemptOutcome,
    *,
    at: datetime,
    error: str = "",
) -> None:
    """Set the outcome of each command's newest attempt, unless the device answered."""
    if not commands:
        return
    ids = [command.pk for command in commands]
    numbers = [command.attempt_count for command in commands]
    closed = bulk_sql.fetch(_CLOSE, [str(outcome), error, ids, numbers])
    if outcome in UNANSWERED:
        adapters = [adapter for (adapter,) in closed]
        count_unanswered(adapters, now=at)


def mark_attempts_answered(commands: Collection[Command], at: datetime) -> None:
    """Record that the device answered the newest attempt of each command."""
    for attempts in newest_attempts(commands):
        attempts.filter(received_at__isnull=True).update(
            outcome=AttemptOutcome.RECEIVED, received_at=at
        )
