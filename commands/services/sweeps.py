"""What time alone does to commands: leases, timeouts, retries, expiry, releases.

Each sweep takes one batch, leaves out rows that another worker holds, and says how many
it took; tasks repeat it up to a bound. A row decides by its own due time, so that a
lost Redis or worker loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from commands.choices import (
    AttemptOutcome,
    CommandClass,
    CommandStatus,
    FailureClass,
    WaitsFor,
)
from commands.models import Command
from commands.selectors.due import (
    due_commands,
    expired_in_queue,
    held_for_devices_online,
    open_of_ended_devices,
    unsent_of_cancelled_jobs,
)
from commands.services import device_responses, rerun, retry_policy
from commands.services.commands import is_repeatable
from commands.services.dispatch import AWAY, wake_adapters
from commands.services.transitions import Moves, lock_commands
from registry.models import Device
from state.selectors import reach_of, reported_of

# Rows of one transaction: long enough to be worth its commit, short enough that a
# device's answer to one of them waits a few hundredths of a second at most.
BATCH = 1_000

S, F = CommandStatus, FailureClass


@transaction.atomic
def look_at_due_across_tenants(*, now: datetime, limit: int = BATCH) -> int:
    """Move the commands whose hour has come; return how many were looked at."""
    commands = _lock(due_commands(now=now), limit)
    if not commands:
        return 0
    ended = [command for command in commands if command.ended_at is not None]
    still_open = [command for command in commands if command.ended_at is None]
    facts = _facts(still_open)
    moves = Moves(now=now)
    for command in still_open:
        _look_at(command, moves, facts)
    _replace_failed(ended, moves)
    moves.write()
    if any(command.status == S.QUEUED for command in still_open):
        wake_adapters()
    return len(commands)


@transaction.atomic
def expire_queued_across_tenants(*, now: datetime, limit: int = BATCH) -> int:
    """End what no adapter took before its time was over; return how many."""
    commands = _lock(expired_in_queue(now=now), limit)
    moves = Moves(now=now)
    for command in commands:
        retry_policy.end(
            command, moves, F.EXPIRED, cause="its time was over in the queue"
        )
    moves.write()
    return len(commands)


@transaction.atomic
def release_waiting_across_tenants(*, now: datetime, limit: int = BATCH) -> int:
    """Queue what waits for devices that are there: the birth that crossed a request.

    A command may be held on a connectivity that was read just before the birth's
    commit; no other birth would come to release it.
    """
    commands = _lock(held_for_devices_online(), limit)
    moves = Moves(now=now)
    released = [
        device_responses.release_at_birth(command, moves) for command in commands
    ]
    moves.write()
    if any(released):
        wake_adapters()
    return len(commands)


@transaction.atomic
def cancel_for_ended_devices_across_tenants(
    *, now: datetime, limit: int = BATCH
) -> int:
    """Cancel what is still to be sent to devices that take no commands any more."""
    commands = _lock(open_of_ended_devices(), limit)
    moves = Moves(now=now)
    for command in commands:
        moves.move(
            command, S.CANCELLED, cause="the device was taken out of service meanwhile"
        )
    moves.write()
    return len(commands)


@transaction.atomic
def cancel_for_ended_jobs_across_tenants(*, now: datetime, limit: int = BATCH) -> int:
    """Cancel what cancelled jobs have not sent yet; return how many."""
    commands = _lock(unsent_of_cancelled_jobs(), limit)
    moves = Moves(now=now)
    for command in commands:
        moves.move(command, S.CANCELLED, cause="its job was cancelled")
    moves.write()
    return len(commands)


class _Facts:
    """What a batch's decisions need to know of other tables, read once."""

    def __init__(self, commands: Sequence[Command]) -> None:
        lost = [c for c in commands if c.status == S.QUEUED]
        self.losses = retry_policy.count_losses(lost)
        unanswered = [c for c in commands if c.status == S.SENT]
        self.connectivity = reach_of([c.device_id for c in unanswered])
        checked = [
            c
            for c in commands
            if c.expectation is not None
            and (c.status == S.SUCCEEDED or c.command_class == CommandClass.CONFIG)
        ]
        self.reported: dict[int, dict[str, Any]] = reported_of(
            {c.device_id for c in checked}
        )
        executed = [c for c in checked if c.status == S.SUCCEEDED]
        self.outdated = rerun.outdated_among(executed)


def _facts(commands: Sequence[Command]) -> _Facts:
    facts = _Facts(commands)
    retry_policy.close_attempts(
        [c for c in commands if c.status == S.QUEUED], AttemptOutcome.LOST
    )
    retry_policy.close_attempts(
        [c for c in commands if c.status == S.SENT], AttemptOutcome.NO_ACK
    )
    return facts


def _look_at(command: Command, moves: Moves, facts: _Facts) -> None:
    """Decide about one command whose hour has come."""
    reported = facts.reported.get(command.device_id)
    # Said before it was sent, or while nobody expected it: it is so, that is enough.
    if reported is not None and command.attempt_count:
        cause = "the reported state said so already"
        if device_responses.verify_if_met(
            command, moves, reported=reported, at=moves.now, cause=cause
        ):
            return
    _DECISIONS[CommandStatus(command.status)](command, moves, facts)


def _replace_failed(commands: Sequence[Command], moves: Moves) -> None:
    """Make the new tries that policies want of what devices have ended."""
    outdated = rerun.outdated_among(commands)
    ready = []
    for command in commands:
        command.due_at = None
        moves.touch(command)
        if command.pk not in outdated:
            ready.append(command)
    if not ready:
        return
    devices = Device.objects.in_bulk([command.device_id for command in ready])
    for command in ready:
        command.device = devices[command.device_id]
    own = Moves(now=moves.now)
    rerun.make_successors(
        ready,
        own,
        connectivity=reach_of(list(devices)),
        actor=None,
        cause="tried again as the policy says",
        is_counted=True,
    )


def _held(command: Command, moves: Moves, facts: _Facts) -> None:
    if command.expires_at <= moves.now:
        what = (
            "the device never came"
            if command.waits_for == WaitsFor.DEVICE
            else "its time was over before the time to which the device deferred it"
        )
        retry_policy.end(command, moves, F.EXPIRED, cause=what)
        return
    moves.move(
        command, S.QUEUED, cause="the time it waited for has come", due_at=moves.now
    )


def _lost_lease(command: Command, moves: Moves, facts: _Facts) -> None:
    command.uncounted_attempts += 1
    retry_policy.retry_or_end(
        command,
        moves,
        F.ADAPTER_ERROR,
        cause="the adapter's lease ended without a word",
        losses=facts.losses.get(command.pk, 0) + 1,
    )


def _no_ack(command: Command, moves: Moves, facts: _Facts) -> None:
    if command.expires_at <= moves.now:
        cause = "its time was over before the device acknowledged it"
        retry_policy.end(command, moves, F.EXPIRED, cause=cause)
        return
    away = facts.connectivity.get(command.device_id, "offline") in AWAY
    waits = away and command.command_class != CommandClass.CONTROL
    if waits:
        retry_policy.wait_for_device(command, moves, cause="no acknowledgement")
        return
    # Of a repeat nothing was heard, but of the command there was.
    unheard = (
        F.EXECUTION_TIMEOUT
        if command.received_at is not None and is_repeatable(command)
        else F.NO_ACK
    )
    retry_policy.retry_or_end(
        command,
        moves,
        F.UNREACHABLE if away else unheard,
        cause="no acknowledgement, and the device is away"
        if away
        else "no acknowledgement in time",
    )


def _no_result(command: Command, moves: Moves, facts: _Facts) -> None:
    if not is_repeatable(command):
        retry_policy.end(
            command,
            moves,
            F.UNKNOWN_OUTCOME,
            cause="the device has it, and never said what came of it",
        )
        return
    retry_policy.retry_or_end(
        command, moves, F.EXECUTION_TIMEOUT, cause="no result in time"
    )


def _not_verified(command: Command, moves: Moves, facts: _Facts) -> None:
    # A late result took it out of that verdict; its keys may be other ones by now.
    if command.pk in facts.outdated:
        cause = "a newer configuration took its place"
        moves.move(command, S.SUPERSEDED, cause=cause)
        return
    retry_policy.end(
        command, moves, F.UNVERIFIED, cause="the reported state does not say so"
    )


_DECISIONS: dict[CommandStatus, Callable[[Command, Moves, _Facts], None]] = {
    S.HELD: _held,
    S.QUEUED: _lost_lease,
    S.SENT: _no_ack,
    S.RECEIVED: _no_result,
    S.RUNNING: _no_result,
    S.SUCCEEDED: _not_verified,
}


def _lock(commands: QuerySet[Command], limit: int) -> list[Command]:
    """Lock a batch in key order; rows that somebody holds are for the next run.

    What was read before the lock is read again under it: another worker may have dealt
    with the row in between.
    """
    ids = list(commands.values_list("pk", flat=True)[:limit])
    locked = lock_commands(ids, skip_locked=True)
    still = set(commands.filter(pk__in=locked).values_list("pk", flat=True))
    return [command for pk, command in locked.items() if pk in still]
