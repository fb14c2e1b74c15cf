"""What happens to commands when time passes: timeouts, retries, expiry, releases.

Each sweep handles one batch, skips rows that another worker has locked, and returns how
many it handled; tasks repeat it up to a bound. Each row carries its own due time, so
nothing is lost with Redis or a worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from commands.choices import (
    AttemptOutcome,
    CommandStatus,
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
from commands.services.due_decisions import (
    Circumstances,
    decide,
    expire_in_queue,
    may_wait_for_sleeper,
)
from commands.services.transitions import Moves, lock_commands
from iotplatform.common import bulk_sql
from registry.models import Device
from state.selectors import Sleep, deliverability_of, sleeps_of

# Rows of one transaction: enough to be worth its commit, and so few that a device's
# response to one of them waits a few hundredths of a second at most.
BATCH = 1_000

S = CommandStatus
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
    context = _read_circumstances(still_open, now)
    moves = Moves(now=now)
    for command in still_open:
        decide(command, moves, context)
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
        expire_in_queue(command, moves, is_asleep=command.pk in sleeps)
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


def _read_circumstances(commands: Sequence[Command], now: datetime) -> Circumstances:
    """Read what the decisions need; close the attempts that got no answer."""
    lost = [c for c in commands if c.status == S.QUEUED]
    unanswered = [c for c in commands if c.status == S.SENT]
    executed = [c for c in commands if c.status == S.SUCCEEDED]
    found = Circumstances(
        losses=retry_policy.close_lost(lost, AttemptOutcome.LOST, at=now),
        connectivity=deliverability_of([c.device_id for c in unanswered]),
        sleeps=_sleeps(commands, now),
        outdated=rerun.find_outdated(executed),
    )
    retry_policy.close_attempts(unanswered, AttemptOutcome.NO_ACK, at=now)
    return found


def _sleeps(commands: Sequence[Command], now: datetime) -> dict[int, Sleep]:
    """Return the sleep of each command's device, by the command's key.

    Nothing of a job outlives the job's deadline.
    """
    jobs = {command.job_id for command in commands if command.job_id is not None}
    over = find_jobs_past_deadline(jobs, now=now)
    waiting = [
        command
        for command in commands
        if may_wait_for_sleeper(command) and command.job_id not in over
    ]
    sleeps = sleeps_of({c.device_id for c in waiting}, now=now)
    return {c.pk: sleeps[c.device_id] for c in waiting if c.device_id in sleeps}


def _replace_failed(commands: Sequence[Command], moves: Moves) -> None:
    """Create the new commands that policies want after a device ended one."""
    outdated = rerun.find_outdated(commands)
    jobs = {command.job_id for command in commands if command.job_id is not None}
    over = find_jobs_past_deadline(jobs, now=moves.now)
    ready = []
    for command in commands:
        command.due_at = None
        moves.touch(command)
        if command.pk not in outdated and command.job_id not in over:
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


def _lock(commands: QuerySet[Command], limit: int) -> list[Command]:
    """Lock a batch in key order; locked rows are left to the next run.

    The condition is read again under the lock: another worker may have handled the row
    in between.
    """
    ids = list(commands.values_list("pk", flat=True)[:limit])
    locked = lock_commands(ids, skip_locked=True)
    still = set(commands.filter(pk__in=locked).values_list("pk", flat=True))
    return [command for pk, command in locked.items() if pk in still]
