"""Replacement as one step: the successor takes over place, configuration and open work.

What becomes of the old unit's open commands, in one rule: a real-time command was meant
for that moment and is not passed on. The others are asked anew of the successor, each
as a linked command, unless the old unit may have begun one that is not repeatable.
Alarms and everything that has ended stay with the old unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from django.utils import timezone

from commands.choices import (
    AttemptOutcome,
    CommandClass,
    CommandStatus,
    FailureClass,
)
from commands.definitions import DEFINITIONS
from commands.lifecycle import JOB_FINAL, UNSENT
from commands.models import Command, Job, JobTarget
from commands.services import retry_policy
from commands.services.commands import (
    actor_name,
    is_repeatable,
    new_command,
    save_new,
    supersede_configs,
)
from commands.services.retained_config import clear_retained_below
from commands.services.transitions import Moves, lock_commands
from commands.validation import complete_policy
from registry.choices import JOINS_JOBS
from registry.models import Device, LifecycleMove, User
from registry.services.replacement import Replaced, take_place
from state.judgment.twin_documents import (
    Document,
    merge_patch,
    patch_between,
)
from state.selectors import reach_of
from state.services.twin import lock_desired, merge_desired

S = CommandStatus
SET_CONFIG = "set_config"

FOLLOW = """
    UPDATE commands_jobtarget AS member
    SET command_id = new.successor, device_id = %s,
        in_place_of_id = COALESCE(member.in_place_of_id, %s)
    FROM unnest(%s::bigint[], %s::bigint[]) AS new(id, successor)
    WHERE member.command_id = new.id
"""


@transaction.atomic
def replace_device(
    *, device: Device, successor: Device, reason: str, actor: User | None
) -> LifecycleMove:
    """Put a successor in a device's place, with all that hangs on the place.

    Raises MoveRefused, Conflict and BadInput as the registry does; then nothing was
    done. The old unit's credentials are revoked, and what the broker retains for it is
    cleared.
    """
    replaced = take_place(
        device=device, successor=successor, reason=reason, actor=actor
    )
    work = _Work(replaced, actor=actor, now=timezone.now())
    members = work.lock_members()
    patch = work.lock_desired()
    open_ids = Command.objects.filter(device=replaced.old, ended_at__isnull=True)
    commands = list(lock_commands(list(open_ids.values_list("pk", flat=True))).values())
    work.pass_on(commands, patch, members)
    clear_retained_below(replaced.old, at=work.moves.now)
    return replaced.move


@dataclass
class _Members:
    """The old unit's jobs that go on, and those of which the successor is a member."""

    jobs: set[int]
    taken: set[int]


class _Work:
    """What is handed over in one replacement."""

    def __init__(
        self, replaced: Replaced, *, actor: User | None, now: datetime
    ) -> None:
        self.old, self.new = replaced.old, replaced.successor
        self.actor, self.name = actor, actor_name(actor)
        self.moves = Moves(now=now)

    def lock_members(self) -> _Members:
        """Lock the jobs, then move the places that have no command yet."""
        own = JobTarget.objects.filter(device=self.old, skip_reason="")
        jobs = Job.objects.exclude(status__in=JOB_FINAL).filter(
            pk__in=own.values("job_id")
        )
        locked = jobs.order_by("pk").select_for_update(of=("self",), no_key=True)
        ids = list(locked.values_list("pk", flat=True))
        members = JobTarget.objects.filter(job_id__in=ids)
        taken = set(members.filter(device=self.new).values_list("job_id", flat=True))
        waiting = members.filter(device=self.old, command__isnull=True, skip_reason="")
        pending = list(waiting.order_by("pk").select_for_update(of=("self",)))
        for member in pending:
            if member.job_id in taken:
                uid = self.new.uid
                member.skip_reason = f"was replaced by {uid}, which is a member itself"
            else:
                member.in_place_of_id = member.in_place_of_id or member.device_id
                member.device = self.new
        fields = ["device", "in_place_of", "skip_reason"]
        JobTarget.objects.bulk_update(pending, fields)
        return _Members(set(ids), taken)

    def lock_desired(self) -> Document:
        """Lock both twins; return what makes the successor's document the old one's."""
        desired = lock_desired([self.old.pk, self.new.pk])
        theirs = desired[self.old.pk]
        return patch_between(desired[self.new.pk], theirs) if theirs else {}

    def pass_on(
        self, commands: Sequence[Command], patch: Document, members: _Members
    ) -> None:
        """End what is open, and ask the successor for what it can take over."""
        connectivity = reach_of([self.new.pk])[self.new.pk]
        takes = self.new.product.takes_commands
        successors: list[tuple[Command | None, Command]] = []
        config: Command | None = None
        for command in commands:
            if command.command_class == CommandClass.CONFIG and takes:
                config = command
                self._end(command, "its configuration went on to", self.new.uid)
            elif why_not := self._why_not(command, members):
                self._end(command, "not passed on:", why_not)
            else:
                made = self._anew(command, connectivity)
                successors.append((command, made))
                self._end(command, "passed on as command", str(made.public_id))
        if patch and takes:
            made = self._config(patch, config, connectivity)
            if config is not None and not self._why_not_in_job(config, members):
                made.job_id = config.job_id
            successors.append((config, made))
        save_new(
            [made for _, made in successors],
            self.moves,
            actor=self.name,
            cause=f"takes over from {self.old.uid}, which was replaced",
        )
        self._follow([(old, new) for old, new in successors if old and new.job_id])

    def _why_not(self, command: Command, members: _Members) -> str:
        if not self.new.product.takes_commands:
            return "the successor's product takes no commands"
        if command.command_class == CommandClass.CONTROL:
            return "a real-time command was meant for that moment"
        if why_not := self._why_not_in_job(command, members):
            return why_not
        if command.status not in UNSENT and not is_repeatable(command):
            return f"'{command.name}' is not repeatable and may have begun"
        return ""

    def _why_not_in_job(self, command: Command, members: _Members) -> str:
        if command.job_id is None:
            return ""
        if command.job_id not in members.jobs:
            return "its job has ended"
        if command.job_id in members.taken:
            return "the successor is a member of the job itself"
        if self.new.lifecycle not in JOINS_JOBS:
            return f"the successor is {self.new.get_lifecycle_display()}"
        return ""

    def _end(self, command: Command, what: str, more: str) -> None:
        """End what is open of the old unit; of what it has, only it knows the end."""
        was = CommandStatus(command.status)
        is_config = command.command_class == CommandClass.CONFIG
        to, failure = S.CANCELLED, ""
        if was == S.SUCCEEDED or (is_config and was not in UNSENT):
            to = S.SUPERSEDED
        elif was in (S.RECEIVED, S.RUNNING):
            to, failure = S.UNKNOWN, FailureClass.UNKNOWN_OUTCOME
        cause = f"{self.old.uid} was replaced by {self.new.uid}; {what} {more}"
        self.moves.move(
            command, to, cause=cause, actor=self.name, failure_class=failure
        )
        if was == S.QUEUED:
            retry_policy.close_attempts([command], AttemptOutcome.STOPPED)

    def _anew(self, command: Command, connectivity: str) -> Command:
        """Build the same command for the successor, within the time that was left."""
        made = new_command(
            device=self.new,
            definition=DEFINITIONS[command.name],
            params=command.params,
            policy=command.policy,
            connectivity=connectivity,
            now=self.moves.now,
            deadline=command.expires_at if command.status in UNSENT else None,
        )
        made.job_id, made.retry_of = command.job_id, command
        made.requested_by = self.actor
        return made

    def _config(
        self, patch: Document, earlier: Command | None, connectivity: str
    ) -> Command:
        """Merge the old unit's desired document into the successor's, and send it."""
        definition = DEFINITIONS[SET_CONFIG]
        before = lock_desired([self.new.pk])[self.new.pk]
        made = new_command(
            device=self.new,
            definition=definition,
            params=patch,
            policy=earlier.policy if earlier else complete_policy(definition, None),
            connectivity=connectivity,
            now=self.moves.now,
        )
        made.desired_version = merge_desired(self.new.pk, patch, at=self.moves.now)
        made.expectation = merge_patch(before, patch)
        made.retry_of, made.requested_by = earlier, self.actor
        supersede_configs([self.new.pk], self.moves)
        return made

    def _follow(self, pairs: Sequence[tuple[Command, Command]]) -> None:
        """Have the members whose commands were passed on stand for the successor."""
        values = [[old.pk for old, _ in pairs], [new.pk for _, new in pairs]]
        with connection.cursor() as cursor:
            cursor.execute(FOLLOW, [self.new.pk, self.old.pk, *values])
