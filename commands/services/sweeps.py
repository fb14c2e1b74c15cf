"""What happens to commands when time passes: timeouts, retries, expiry, releases.

Each sweep handles one batch, skips rows that another worker has locked, and returns how
many it handled; tasks repeat it up to a bound. Each row carries its own due time, so
nothing is lost with Redis or a worker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

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
    find_jobs_past_deadline,
    held_for_devices_online,
    open_of_ended_devices,
    unsent_of_cancelled_jobs,
)
from commands.services import device_responses, rerun, retry_policy
from commands.services.adapter_wakeup import wake_adapters
from commands.services.dispatch import AWAY
from commands.services.transitions import Moves, lock_commands
from iotplatform.common import bulk_sql
from registry.models import Device
from state.selectors import GATEWAY_AWAY, Sleep, deliverability_of, sleeps_of

# Rows of one transaction: enough to be worth its commit, and so few that a device's
# response to one of them waits a few hundredths of a second at most.
BATCH = 1_000

S, F = CommandStatus, FailureClass

_UNTIL = {
    WaitsFor.NOTHING: "it was released",
    WaitsFor.DEVICE: "the device came online",
    WaitsFor.TIME: "the time that the device deferred it to",
    WaitsFor.GATEWAY: "its gateway could take it",
    WaitsFor.APPROVAL: "a second person approved it",
}
_UNREACHABLE = {GATEWAY_AWAY: F.GATEWAY_UNREACHABLE}
_FOLLOW_ADAPTERS = f"""
    UPDATE commands_command SET adapter = d.adapter FROM registry_device d
    WHERE commands_command.id = ANY(ARRAY(
        SELECT c.id FROM commands_command c JOIN registry_device d ON d.id = c.device_id
        WHERE c.status = 'queued' AND c.claim_token IS NULL AND c.adapter <> d.adapter
        ORDER BY c.id LIMIT {BATCH} FOR UPDATE OF c SKIP LOCKED
    )) AND d.id = commands_command.device_id
"""


@transaction.atomic
def process_due_across_tenants(*, now: datetime, limit: int = BATCH) -> int:
    """Move the commands that are due; return how many were checked."""
    commands = _lock(due_commands(now=now), limit)
    if not commands:
        return 0
    ended = [command for command in commands if command.ended_at is not None]
    still_open = [command for command in commands if command.ended_at is None]
    context = _load_context(still_open, now)
    moves = Moves(now=now)
    for command in still_open:
        _decide(command, moves, context)
    _replace_failed(ended, moves)
    moves.write()
    if any(command.status == S.QUEUED for command in still_open):
        wake_adapters()
    return len(commands)


@transaction.atomic
def expire_queued_across_tenants(*, now: datetime, limit: int = BATCH) -> int:
    """End queued commands that no adapter claimed in time; return how many."""
    commands = _lock(expired_in_queue(now=now), limit)
    moves = Moves(now=now)
    sleeps = _sleeps(commands, now)
    for command in commands:
        if command.pk in sleeps:
            retry_policy.wait_for_device(command, moves, cause="it sleeps")
            continue
        retry_policy.end(command, moves, F.EXPIRED, cause="it expired in the queue")
    moves.write()
    return len(commands)


@transaction.atomic
def release_waiting_across_tenants(*, now: datetime, limit: int = BATCH) -> int:
    """Queue commands that wait for a device although it is online; return how many.

    A request may read the connectivity just before the device's birth message commits,
    and hold its command. No other birth would come to release it.
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
    """Cancel unsent commands of devices that no longer take any; return how many."""
    commands = _lock(open_of_ended_devices(), limit)
    moves = Moves(now=now)
    _cancel(commands, moves, cause="the device was taken out of service")
    return len(commands)


@transaction.atomic
def cancel_for_ended_jobs_across_tenants(*, now: datetime, limit: int = BATCH) -> int:
    """Cancel the unsent commands of cancelled jobs; return how many."""
    commands = _lock(unsent_of_cancelled_jobs(), limit)
    moves = Moves(now=now)
    _cancel(commands, moves, cause="its job was cancelled")
    return len(commands)


def follow_adapters_across_tenants(*, now: datetime) -> int:
    """Give queued commands the adapter that their device has now; return how many."""
    return bulk_sql.run(_FOLLOW_ADAPTERS)


def _cancel(commands: Sequence[Command], moves: Moves, *, cause: str) -> None:
    """Cancel locked commands; a claim that is not published yet ends with them."""
    claimed = [command for command in commands if command.status == S.QUEUED]
    for command in commands:
        moves.move(command, S.CANCELLED, cause=cause)
    moves.write()
    retry_policy.close_attempts(claimed, AttemptOutcome.STOPPED, at=moves.now)


class _Context:
    """What the decisions about a batch need from other tables, read once."""

    def __init__(self, commands: Sequence[Command], now: datetime) -> None:
        lost = [c for c in commands if c.status == S.QUEUED]
        self.losses = retry_policy.close_lost(lost, AttemptOutcome.LOST, at=now)
        unanswered = [c for c in commands if c.status == S.SENT]
        self.connectivity = deliverability_of([c.device_id for c in unanswered])
        self.sleeps = _sleeps(commands, now)
        executed = [c for c in commands if c.status == S.SUCCEEDED]
        self.outdated = rerun.find_outdated(executed)


def _sleeps(commands: Sequence[Command], now: datetime) -> dict[int, Sleep]:
    """Return the sleep of each command's device, by the command's key.

    A real-time command was meant for that moment: its clock never stops. One that waits
    for a person does not wait for the device yet. Nothing of a job outlives the job's
    deadline.
    """
    jobs = {command.job_id for command in commands if command.job_id is not None}
    over = find_jobs_past_deadline(jobs, now=now)
    waiting = [
        command
        for command in commands
        if command.command_class != CommandClass.CONTROL
        and command.waits_for != WaitsFor.APPROVAL
        and command.job_id not in over
    ]
    sleeps = sleeps_of({c.device_id for c in waiting}, now=now)
    return {c.pk: sleeps[c.device_id] for c in waiting if c.device_id in sleeps}


def _load_context(commands: Sequence[Command], now: datetime) -> _Context:
    context = _Context(commands, now)
    retry_policy.close_attempts(
        [c for c in commands if c.status == S.SENT], AttemptOutcome.NO_ACK, at=now
    )
    return context


def _decide(command: Command, moves: Moves, context: _Context) -> None:
    """Move one command that is due, or let it wait while its device sleeps."""
    sleep = context.sleeps.get(command.pk)
    if sleep is not None and command.status != S.QUEUED:
        _let_sleep(command, moves, sleep)
        return
    moves.start_clock(command)
    _DECISIONS[CommandStatus(command.status)](command, moves, context)


def _let_sleep(command: Command, moves: Moves, sleep: Sleep) -> None:
    if command.status == S.SENT:
        retry_policy.wait_for_device(command, moves, cause="no acknowledgement, asleep")
    elif command.status == S.HELD:
        command.waits_for = WaitsFor.DEVICE
    moves.stop_clock(command, sleep)


def _replace_failed(commands: Sequence[Command], moves: Moves) -> None:
    """Create the new commands that policies want after a device ended one."""
    outdated = rerun.find_outdated(commands)
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
        connectivity=deliverability_of(list(devices)),
        actor=None,
        cause="retried as the policy says",
        is_counted=True,
    )


def _held(command: Command, moves: Moves, context: _Context) -> None:
    if command.expires_at <= moves.now:
        cause = f"it expired before {_UNTIL[WaitsFor(command.waits_for)]}"
        failure = F(command.failure_class or F.EXPIRED)
        retry_policy.end(command, moves, failure, cause=cause, to=S.EXPIRED)
        return
    if command.waits_for == WaitsFor.DEVICE:
        # It slept, and was not heard when it should have woken.
        command.due_at = command.expires_at
        moves.touch(command)
        return
    cause = "the time that it waited for has come"
    moves.move(command, S.QUEUED, cause=cause, due_at=moves.now)


def _lost_lease(command: Command, moves: Moves, context: _Context) -> None:
    retry_policy.retry_after_loss(
        command,
        moves,
        cause="the adapter's lease ended without a report",
        losses=context.losses.get(command.pk, 0),
    )


def _no_ack(command: Command, moves: Moves, context: _Context) -> None:
    if command.expires_at <= moves.now:
        cause = "it expired before the device acknowledged it"
        retry_policy.end(command, moves, F.EXPIRED, cause=cause)
        return
    connectivity = context.connectivity.get(command.device_id, "offline")
    away = connectivity in AWAY
    waits = away and command.command_class != CommandClass.CONTROL
    if waits:
        cause = "no acknowledgement"
        retry_policy.wait_for_device(command, moves, cause=cause, away=connectivity)
        return
    # The device may have acknowledged an earlier attempt of the same command.
    unanswered = (
        F.EXECUTION_TIMEOUT
        if command.is_answered and command.is_repeatable
        else F.NO_ACK
    )
    retry_policy.retry_or_end(
        command,
        moves,
        _UNREACHABLE.get(connectivity, F.UNREACHABLE) if away else unanswered,
        cause="no acknowledgement, and the device is offline"
        if away
        else "no acknowledgement in time",
    )


def _no_result(command: Command, moves: Moves, context: _Context) -> None:
    if not command.is_repeatable:
        retry_policy.end(
            command,
            moves,
            F.UNKNOWN_OUTCOME,
            cause="the device received it, but reported no result",
        )
        return
    retry_policy.retry_or_end(
        command, moves, F.EXECUTION_TIMEOUT, cause="no result in time"
    )


def _not_verified(command: Command, moves: Moves, context: _Context) -> None:
    # A late result may have reopened a superseded command; a newer configuration may
    # have changed the same keys since.
    if command.pk in context.outdated:
        cause = "a newer configuration has replaced it"
        moves.move(command, S.SUPERSEDED, cause=cause)
        return
    retry_policy.end(
        command, moves, F.UNVERIFIED, cause="the reported state does not confirm it"
    )


_DECISIONS: dict[CommandStatus, Callable[[Command, Moves, _Context], None]] = {
    S.HELD: _held,
    S.QUEUED: _lost_lease,
    S.SENT: _no_ack,
    S.RECEIVED: _no_result,
    S.RUNNING: _no_result,
    S.SUCCEEDED: _not_verified,
}


def _lock(commands: QuerySet[Command], limit: int) -> list[Command]:
    """Lock a batch in key order; locked rows are left to the next run.

    The condition is read again under the lock: another worker may have handled the row
    in between.
    """
    ids = list(commands.values_list("pk", flat=True)[:limit])
    locked = lock_commands(ids, skip_locked=True)
    still = set(commands.filter(pk__in=locked).values_list("pk", flat=True))
    return [command for pk, command in locked.items() if pk in still]
