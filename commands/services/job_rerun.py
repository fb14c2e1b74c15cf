"""Retrying the members of a job that ended with one failure class."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from commands.choices import FailureClass, JobStatus
from commands.exceptions import InvalidCommand, TransitionRefused
from commands.models import Command, Job, JobTarget
from commands.selectors.job_changes import refuse_rolled_back
from commands.services import rerun
from commands.services.adapter_wakeup import wake_adapters
from commands.services.commands import actor_name
from commands.services.job_judgment import forget_accepted
from commands.services.jobs import move_job, record_job_event
from commands.services.transitions import Moves, lock_commands
from iotplatform.common.counts import counted
from registry.models import Device, User
from state.selectors import deliverability_of

J = JobStatus
MAY_RETRY = frozenset({J.RUNNING, J.PAUSED, J.STOPPED, J.COMPLETED})
BATCH = 1_000


@transaction.atomic
def retry_failed(
    *, job: Job, failure_class: FailureClass, actor: User | None, reason: str
) -> Job:
    """Retry the members that ended with one failure class, and nothing else.

    A completed job runs until they have ended. A paused or stopped one stays so: they
    alone are sent, and no wave is released. Raises InvalidCommand without a reason for
    a stopped job, and TransitionRefused for a job that has not started, was cancelled
    or is over its deadline, and if no member of that class can be retried.
    """
    now = timezone.now()
    rows = Job.objects.select_for_update(of=("self",), no_key=True)
    locked = rows.get(pk=job.pk)
    if locked.status not in MAY_RETRY:
        raise TransitionRefused(f"The job is {locked.get_status_display()}.")
    refuse_rolled_back(locked)
    if locked.status == J.STOPPED and not reason.strip():
        raise InvalidCommand(reason="Say why members of a stopped job are retried.")
    rerun.check_deadline(locked, now=now)
    failed = JobTarget.objects.filter(
        job=locked,
        command__failure_class=failure_class,
        command__ended_at__isnull=False,
    ).values_list("command_id", flat=True)
    ids = sorted(pk for pk in failed if pk is not None)
    moves = Moves(now=now)
    cause = f"members that ended as {failure_class} are retried"
    cause += f": {reason}" if reason else ""
    retried = sum(
        _retry_batch(ids[start : start + BATCH], locked, moves, actor, cause)
        for start in range(0, len(ids), BATCH)
    )
    if not retried:
        raise TransitionRefused(
            f"No member that ended as {failure_class} can be retried."
        )
    moves.write()
    wake_adapters()
    verb = "is" if retried == 1 else "are"
    found = f"{counted(retried, 'member')} that ended as {failure_class}"
    cause = f"{found} {verb} retried" + (f": {reason}" if reason else "")
    name = actor_name(actor)
    if locked.status == J.COMPLETED:
        move_job(locked, J.RUNNING, at=moves.now, actor=name, cause=cause)
    else:
        record_job_event(locked, at=moves.now, actor=name, cause=cause)
    forget_accepted(locked)
    return locked


def _retry_batch(
    ids: list[int], job: Job, moves: Moves, actor: User | None, cause: str
) -> int:
    commands = lock_commands(ids)
    outdated = rerun.find_outdated(commands.values())
    ready = [
        command
        for command in commands.values()
        if not rerun.rerun_refusal(command, is_outdated=command.pk in outdated)
    ]
    rerun.send_despite_job(ready, job)
    devices = Device.objects.in_bulk([command.device_id for command in ready])
    connectivity = deliverability_of(list(devices))
    successors: list[Command] = []
    for command in ready:
        command.device = devices[command.device_id]
        if rerun.ended_by_device(command):
            successors.append(command)
            continue
        rerun.queue_again(
            command,
            moves,
            connectivity=connectivity[command.device_id],
            actor=actor_name(actor),
            cause=cause,
        )
    if successors:
        own = Moves(now=moves.now)
        rerun.make_successors(
            successors, own, connectivity=connectivity, actor=actor, cause=cause
        )
    return len(ready)
