"""Retrying an ended command: under the same id, or as a linked new command.

If the platform ended it, the same command is sent again: the device recognises a repeat
by its id. If the device ended it, it stays ended, and a new command takes its place.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import Exists, OuterRef

from commands.choices import CommandClass, CommandStatus, JobStatus, Lane
from commands.exceptions import TransitionRefused
from commands.lifecycle import is_verdict
from commands.models import Command, Job
from commands.selectors.definitions import definition_of_command
from commands.services import retry_policy
from commands.services.commands import ASKED_AT, new_command, save_new
from commands.services.deliverability import AWAY
from commands.services.transitions import PLATFORM, Moves
from registry.models import User

S = CommandStatus

FOLLOW = """
    UPDATE commands_jobtarget AS old SET command_id = new.successor
    FROM unnest(%s::bigint[], %s::bigint[]) AS new(id, successor)
    WHERE old.command_id = new.id
"""


def rerun_refusal(command: Command, *, is_outdated: bool) -> str:
    """Return the reason why a command cannot be retried; empty if it can."""
    status = command.get_status_display()
    if command.is_open:
        return f"The command is {status}: it has not ended yet."
    if command.status in (S.SUCCEEDED, S.VERIFIED):
        return f"The command is {status}: there is nothing to retry."
    if command.is_unapproved:
        return "Nobody approved the command: ask for a new one."
    if command.status == S.SUPERSEDED or is_outdated:
        return "A newer configuration has replaced this one."
    may_have_run = not ended_by_device(command) and command.is_answered
    if may_have_run and not command.is_repeatable:
        return (
            f"'{command.name}' is not repeatable, and the device may have run it."
            " Check the device, then send a new command."
        )
    return ""


def ended_by_device(command: Command) -> bool:
    """Whether the device, not the platform, ended it."""
    return command.ended_at is not None and not is_verdict(
        command.status, command.failure_class
    )


def check_deadline(job: Job, *, now: datetime) -> None:
    """Raise TransitionRefused after the job's deadline: nothing of it outlives that."""
    if job.deadline is not None and job.deadline <= now:
        raise TransitionRefused(
            "The deadline of the job has passed: nothing more is sent for it."
        )


def send_despite_job(commands: Iterable[Command], job: Job | None) -> None:
    """Let retried commands be sent although their job is paused or stopped."""
    if job is not None and job.status in (JobStatus.PAUSED, JobStatus.STOPPED):
        for command in commands:
            command.lane = Lane.BY_HAND


def find_outdated(commands: Collection[Command]) -> set[int]:
    """Return the config commands that a newer one of the same device has replaced."""
    configs = [c.pk for c in commands if c.command_class == CommandClass.CONFIG]
    if not configs:
        return set()
    newer = Command.objects.annotate(asked_at=ASKED_AT).filter(
        device_id=OuterRef("device_id"),
        command_class=CommandClass.CONFIG,
        pk__gt=OuterRef("pk"),
        asked_at__gte=OuterRef("asked_at"),
    )
    asked = Command.objects.annotate(asked_at=ASKED_AT)
    outdated = asked.filter(Exists(newer), pk__in=configs)
    return set(outdated.values_list("pk", flat=True))


def queue_again(
    command: Command, moves: Moves, *, connectivity: str, actor: str, cause: str
) -> None:
    """Restart a command that the platform ended, under the same id."""
    expires_in = timedelta(seconds=command.policy["expires_in_seconds"])
    moves.extend(command, moves.now + expires_in)
    command.uncounted_attempts = command.attempt_count
    moves.move(command, S.QUEUED, cause=cause, actor=actor, due_at=moves.now)
    if connectivity in AWAY and command.command_class != CommandClass.CONFIG:
        cause = "the device is offline"
        retry_policy.wait_for_device(command, moves, cause=cause, away=connectivity)


def make_successors(
    commands: Sequence[Command],
    moves: Moves,
    *,
    connectivity: dict[int, str],
    actor: User | None,
    cause: str,
    is_counted: bool = False,
) -> list[Command]:
    """Create a linked new command for each; members of a job get the new command.

    The caller has loaded ``command.device``. With ``is_counted`` the new commands have
    only the attempts that the old ones left; a person's retry starts with all of them.
    A configuration needs no new merge: its patch is in the desired document as long as
    no newer one was requested.
    """
    name = actor.get_username() if actor else PLATFORM
    successors = []
    for command in commands:
        successor = new_command(
            device=command.device,
            definition=definition_of_command(command),
            params=command.params,
            policy={**command.policy, "attempts": retry_policy.attempts_left(command)}
            if is_counted
            else command.policy,
            failure_rules=command.failure_rules,
            connectivity=connectivity.get(command.device_id, "offline"),
            now=moves.now,
        )
        successor.job_id = command.job_id
        successor.retry_of = command
        if command.lane == Lane.BY_HAND:
            successor.lane = Lane.BY_HAND
        successor.requested_by = actor
        successor.desired_version = command.desired_version
        successor.expectation = command.expectation
        successors.append(successor)
        moves.note(
            command,
            f"{cause}, as command {successor.public_id}",
            actor=name,
            detail={"retried_as": str(successor.public_id)},
        )
        moves.need_no_person(command)
    save_new(successors, moves, actor=name, cause="replaces a failed command")
    with connection.cursor() as cursor:
        old = [command.pk for command in commands]
        cursor.execute(FOLLOW, [old, [successor.pk for successor in successors]])
    return successors
