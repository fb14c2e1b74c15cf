"""Rolling a job back: each member gets its own previous values, as a new job."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from django.db import transaction
from django.utils import timezone

from commands.choices import CommandStatus, JobStatus
from commands.definitions import UPDATE_FIRMWARE
from commands.exceptions import InvalidRollout, RollbackRefused
from commands.lifecycle import UNSENT
from commands.models import FrozenCohort, Job, JobRollback
from commands.rollouts import complete_rollout
from commands.selectors.job_changes import (
    ChangedMember,
    is_reversible,
    list_changed_members,
    refuse_rolled_back,
    why_not_restored,
)
from commands.services.commands import actor_name, withdraw_command
from commands.services.job_placement import place_job_members
from commands.services.jobs import (
    move_job,
    record_job_event,
    start_job,
)
from commands.services.transitions import PLATFORM, Moves, lock_commands
from iotplatform.common import bulk_sql
from iotplatform.common.counts import counted
from iotplatform.common.ids import hash_of, new_public_id
from registry.models import Device, User

J = JobStatus
# What is restored was so before: no threshold stops it, members that fail are shown.
ROLLOUT = {"success_threshold": 0, "failure_threshold": 1}
CARRIED = ("rate_per_minute", "max_in_flight", "combinations")
NAME_LENGTH = 200
# Without a publish these have changed nothing at the device.
_NEVER_RUN = frozenset(
    {CommandStatus.CANCELLED, CommandStatus.SUPERSEDED, CommandStatus.EXPIRED}
)

_PARAMS = """
    INSERT INTO commands_membervalues (target_id, tenant_id, params)
    SELECT t.id, t.tenant_id, v.params
    FROM unnest(%s::bigint[], %s::jsonb[]) AS v(device_id, params)
    JOIN commands_jobtarget t ON t.job_id = %s AND t.device_id = v.device_id
    ORDER BY t.id
"""


@transaction.atomic
def roll_back_job(
    *, job: Job, actor: User | None, reason: str = "", now: datetime | None = None
) -> Job:
    """Stop a job and start another one that restores its members; return that one.

    Members that were changed since, that already have their former values or that have
    no compatible release are skipped with that reason. Raises RollbackRefused if the
    command cannot be undone, if no member has got it, and for a second rollback.
    """
    now = now or timezone.now()
    rows = Job.objects.select_for_update(of=("self",), no_key=True)
    locked = rows.select_related("tenant").get(pk=job.pk)
    refuse_rolled_back(locked)
    if not is_reversible(locked):
        raise RollbackRefused(
            f"Nothing can be restored after '{locked.command_name}': only configuration"
            " and firmware have former values."
        )
    members = list_changed_members(locked)
    if not members:
        raise RollbackRefused("No member of the job has got its command.")
    cause = f"rolled back by {actor_name(actor)}" + (f": {reason}" if reason else "")
    if locked.status in (J.RUNNING, J.PAUSED):
        move_job(locked, J.STOPPED, at=now, actor=actor_name(actor), cause=cause)
    if locked.command_name == UPDATE_FIRMWARE:
        members = _withdraw_unsent(members, cause=cause, actor=actor, now=now)
        if not members:
            raise RollbackRefused("No member of the job has got its command.")
    restoring = _create(locked, members, actor, now)
    record_job_event(locked, at=now, actor=actor_name(actor), cause=cause)
    if restoring.status == J.AWAITING_APPROVAL:
        return restoring
    return start_job(job=restoring, actor=actor, reason=reason, now=now)


def roll_back_after_breach(job: Job, *, reason: str, now: datetime) -> None:
    """Roll back a job that its health gate has stopped, where that can be done."""
    try:
        roll_back_job(job=job, actor=None, reason=reason, now=now)
    except RollbackRefused as refused:
        cause = f"not rolled back: {refused.detail}"
        record_job_event(job, at=now, actor=PLATFORM, cause=cause)


def _withdraw_unsent(
    members: Sequence[ChangedMember],
    *,
    cause: str,
    actor: User | None,
    now: datetime,
) -> list[ChangedMember]:
    """Cancel updates that were not sent yet; return the members that got theirs.

    A configuration is replaced by the one that restores, so it needs no such step.
    """
    moves = Moves(now=now)
    unsent = [m.command.pk for m in members if m.command.status in UNSENT]
    gone = set()
    for command in lock_commands(unsent).values():
        if command.status in UNSENT and not command.is_published:
            withdraw_command(command, moves, cause=cause, actor=actor_name(actor))
            gone.add(command.pk)
    moves.write()
    # A superseded or cancelled one was never executed either.
    return [
        member
        for member in members
        if member.command.pk not in gone
        and (member.command.is_published or member.command.status not in _NEVER_RUN)
    ]


def _create(
    job: Job, members: Sequence[ChangedMember], actor: User | None, now: datetime
) -> Job:
    reasons = why_not_restored(job, members)
    ids = [member.device_id for member in members]
    uids = Device.objects.filter(pk__in=ids).values_list("uid", flat=True)
    needs_approval = bool((job.definition or {}).get("needs_approval"))
    restoring = Job(
        public_id=new_public_id(),
        tenant=job.tenant,
        name=f"Rollback of {job.name}"[:NAME_LENGTH],
        cohort=FrozenCohort.objects.create(
            tenant=job.tenant,
            taken_at=now,
            target_count=len(ids),
            target_hash=hash_of(uids),
        ),
        command_name=job.command_name,
        command_class=job.command_class,
        params={},  # each member has its own
        policy=job.policy,
        definition=job.definition,
        failure_rules=job.failure_rules,
        rollout=_rollout(job, now),
        created_by=actor,
        created_at=now,
        status=J.AWAITING_APPROVAL if needs_approval else J.DRAFT,
        status_since=now,
    )
    restoring.save(force_insert=True)
    JobRollback.objects.create(job=restoring, tenant=job.tenant, of=job)
    versions = {
        member.device_id: str(member.previous["version"])
        for member in members
        if member.device_id not in reasons and "version" in member.previous
    }
    try:
        members_of = {pk: reasons.get(pk, "") for pk in ids}
        joining = place_job_members(restoring, members_of, versions=versions)
    except InvalidRollout as error:  # every way back leaves the combinations
        raise RollbackRefused(error.errors[0]["message"]) from error
    values = [
        (member.device_id, msgspec.json.encode(member.previous).decode())
        for member in members
        if member.device_id not in reasons
    ]
    bulk_sql.run(_PARAMS, [*bulk_sql.columns_of(values, 2), restoring.pk])
    cause = f"created to restore {counted(joining, 'device')} of job {job.name}"
    record_job_event(restoring, at=now, actor=actor_name(actor), cause=cause)
    return restoring


def _rollout(job: Job, now: datetime) -> dict[str, Any]:
    carried = {name: job.rollout[name] for name in CARRIED if job.rollout.get(name)}
    return complete_rollout({**ROLLOUT, **carried}, now=now)
