"""Retrying the members of a job that ended with one failure class."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from commands.choices import FailureClass, JobStatus
from commands.exceptions import TransitionRefused
from commands.models import Command, Job, JobTarget
from commands.services import rerun
from commands.services.adapter_wakeup import wake_adapters
from commands.services.commands import actor_name
from commands.services.jobs import (
    accept_current_waves,
    move_job,
    record_job_event,
)
from commands.services.transitions import Moves, lock_commands
from registry.models import Device, User
from state.selectors import deliverability_of

J = JobStatus
MAY_RETRY = frozenset({J.RUNNING, J.PAUSED, J.STOPPED, J.COMPLETED})
BATCH = 1_000


@transaction.atomic
def retry_failed(
    *, job: Job, failure_class: FailureClass, actor: User | None, reason: str
) -> Job:
    """Retry the members that ended with one failure class, and continue the job.

    Raises TransitionRefused for a job that has not started or was cancelled, and if no
    member of that class can be retried.
    """
    rows = Job.objects.select_for_update(of=("self",), no_key=True)
    locked = rows.get(pk=job.pk)
    if locked.status not in MAY_RETRY:
        raise TransitionRefused(f"The job is {locked.get_status_display()}.")
    failed = JobTarget.objects.filter(
        job=locked,
        command__failure_class=failure_class,
        command__ended_at__isnull=False,
    ).values_list("command_id", flat=True)
    ids = sorted(pk for pk in failed if pk is not None)
    moves = Moves(now=timezone.now())
    cause = f"members that ended as {failure_class} are retried"
    cause += f": {reason}" if reason else ""
    retried = sum(
        _retry_batch(ids[start : start + BATCH], moves, actor, cause)
        for start in range(0, len(ids), BATCH)
    )
    if not retried:
        raise TransitionRefused(
            f"No member that ended as {failure_class} can be retried."
        )
    moves.write()
    wake_adapters()
    cause = f"{retried} {cause}"
    name = actor_name(actor)
    if locked.status == J.RUNNING:
        record_job_event(locked, at=moves.now, actor=name, cause=cause)
    else:
        move_job(locked, J.RUNNING, at=moves.now, actor=name, cause=cause)
    accept_current_waves(locked)
    return locked


def _retry_batch(ids: list[int], moves: Moves, actor: User | None, cause: str) -> int:
    commands = lock_commands(ids)
    outdated = rerun.find_outdated(commands.values())
    ready = [
        command
        for command in commands.values()
        if not rerun.rerun_refusal(command, is_outdated=command.pk in outdated)
    ]
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
