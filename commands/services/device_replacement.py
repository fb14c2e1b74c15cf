"""Replacement in one step: the successor gets place, configuration and open commands.

The rule for the old device's open commands: a real-time command was meant for that
moment and ends. Every other one is sent to the successor as a linked command, unless it
is not repeatable and the old device may have started it. Alarms and ended commands stay
with the old device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connection, transaction
from django.utils import timezone

from commands.choices import CommandClass
from commands.definitions import DEFINITIONS
from commands.lifecycle import JOB_FINAL, UNSENT
from commands.models import Command, Job, JobTarget
from commands.selectors.definitions import definition_of_command
from commands.services.commands import (
    actor_name,
    new_command,
    save_new,
    supersede_configs,
    withdraw_command,
)
from commands.services.retained_config import clear_retained_below
from commands.services.transitions import Moves, lock_commands
from commands.validation import complete_policy
from registry.choices import JOINS_JOBS
from registry.models import Device, LifecycleMove, User
from registry.services.replacement import Replaced, replace_in_registry
from state.judgment.desired_asks import Ask
from state.judgment.twin_documents import Document, patch_between
from state.selectors import deliverability_of
from state.services.twin import lock_desired, merge_desired

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
    """Put a successor in a device's place, with everything that belongs to the place.

    Raises MoveRefused, Conflict and BadInput as the registry does, and then changes
    nothing. The old device's credentials are revoked, and its retained messages at the
    broker are cleared.
    """
    replaced = replace_in_registry(
        device=device, successor=successor, reason=reason, actor=actor
    )
    handover = _Handover(replaced, actor=actor, now=timezone.now())
    members = handover.lock_members()
    patch = handover.lock_desired()
    open_ids = Command.objects.filter(device=replaced.old, ended_at__isnull=True)
    commands = list(lock_commands(list(open_ids.values_list("pk", flat=True))).values())
    handover.pass_on(commands, patch, members)
    clear_retained_below(replaced.old, at=handover.moves.now)
    return replaced.move


@dataclass
class _Members:
    """The old device's unfinished jobs; those that the successor is in already."""

    jobs: set[int]
    joined: set[int]


class _Handover:
    """The open work that one replacement hands over."""

    def __init__(
        self, replaced: Replaced, *, actor: User | None, now: datetime
    ) -> None:
        self.old, self.new = replaced.old, replaced.successor
        self.actor, self.name = actor, actor_name(actor)
        self.moves = Moves(now=now)

    def lock_members(self) -> _Members:
        """Lock the jobs, then give the successor the members without a command."""
        own = JobTarget.objects.filter(device=self.old, skip_reason="")
        jobs = Job.objects.exclude(status__in=JOB_FINAL).filter(
            pk__in=own.values("job_id")
        )
        locked = jobs.order_by("pk").select_for_update(of=("self",), no_key=True)
        ids = list(locked.values_list("pk", flat=True))
        members = JobTarget.objects.filter(job_id__in=ids)
        joined = set(members.filter(device=self.new).values_list("job_id", flat=True))
        waiting = members.filter(device=self.old, command__isnull=True, skip_reason="")
        pending = list(waiting.order_by("pk").select_for_update(of=("self",)))
        for member in pending:
            if member.job_id in joined:
                uid = self.new.uid
                member.skip_reason = f"replaced by {uid}, which is in the job already"
            else:
                member.in_place_of_id = member.in_place_of_id or member.device_id
                member.device = self.new
        fields = ["device", "in_place_of", "skip_reason"]
        JobTarget.objects.bulk_update(pending, fields)
        return _Members(set(ids), joined)

    def lock_desired(self) -> Document:
        """Lock both twins; return the patch that makes the successor's like the old."""
        desired = lock_desired([self.old.pk, self.new.pk])
        old = desired[self.old.pk]
        return patch_between(desired[self.new.pk], old) if old else {}

    def pass_on(
        self, commands: Sequence[Command], patch: Document, members: _Members
    ) -> None:
        """End the open commands, and send the successor those that it can take over."""
        connectivity = deliverability_of([self.new.pk])[self.new.pk]
        takes = self.new.product.takes_commands
        successors: list[tuple[Command | None, Command]] = []
        config: Command | None = None
        for command in commands:
            is_config = command.command_class == CommandClass.CONFIG
            if is_config and takes and not command.is_unapproved:
                config = command
                self._end(command, "configuration passed on to", self.new.uid)
            elif why_not := self._why_not(command, members):
                self._end(command, "not passed on:", why_not)
            else:
                made = self._copy(command, connectivity)
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
        if command.is_unapproved:
            return "nobody has approved it"
        if command.command_class == CommandClass.CONTROL:
            return "a real-time command was meant for that moment"
        if why_not := self._why_not_in_job(command, members):
            return why_not
        if command.status not in UNSENT and not command.is_repeatable:
            return f"'{command.name}' is not repeatable and may have started"
        return ""

    def _why_not_in_job(self, command: Command, members: _Members) -> str:
        if command.job_id is None:
            return ""
        if command.job_id not in members.jobs:
            return "its job has ended"
        if command.job_id in members.joined:
            return "the successor is in the job already"
        if self.new.lifecycle not in JOINS_JOBS:
            return f"the successor is {self.new.get_lifecycle_display()}"
        return ""

    def _end(self, command: Command, what: str, more: str) -> None:
        is_config = command.command_class == CommandClass.CONFIG
        withdraw_command(
            command,
            self.moves,
            cause=f"{self.old.uid} was replaced by {self.new.uid}; {what} {more}",
            actor=self.name,
            supersede=is_config and command.status not in UNSENT,
        )

    def _copy(self, command: Command, connectivity: str) -> Command:
        """Build the same command for the successor; an unsent one keeps its expiry."""
        made = new_command(
            device=self.new,
            definition=definition_of_command(command),
            params=command.params,
            policy=command.policy,
            failure_rules=command.failure_rules,
            connectivity=connectivity,
            now=self.moves.now,
            deadline=command.expires_at if command.status in UNSENT else None,
        )
        made.job_id, made.retry_of = command.job_id, command
        made.requested_by, made.expectation = self.actor, command.expectation
        return made

    def _config(
        self, patch: Document, earlier: Command | None, connectivity: str
    ) -> Command:
        """Merge the old device's desired document into the successor's, and send it."""
        definition = DEFINITIONS[SET_CONFIG]
        made = new_command(
            device=self.new,
            definition=definition,
            params=patch,
            policy=earlier.policy if earlier else complete_policy(definition, None),
            connectivity=connectivity,
            now=self.moves.now,
        )
        made.desired_version = merge_desired(
            self.new.pk,
            patch,
            at=self.moves.now,
            ask=Ask(self.moves.now, "person", self.name),
            command=made.public_id,
        )
        made.retry_of, made.requested_by = earlier, self.actor
        supersede_configs([self.new.pk], self.moves, asked_at=self.moves.now)
        return made

    def _follow(self, pairs: Sequence[tuple[Command, Command]]) -> None:
        """Give the successor the job members whose commands were passed on."""
        values = [[old.pk for old, _ in pairs], [new.pk for _, new in pairs]]
        with connection.cursor() as cursor:
            cursor.execute(FOLLOW, [self.new.pk, self.old.pk, *values])
