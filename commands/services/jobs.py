"""Creating a job for frozen device ids, and what people do with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from commands.choices import JobStatus, KeyKind, Lane, WaveStatus
from commands.definitions import Definition
from commands.exceptions import InvalidCommand, TransitionRefused
from commands.failure_rules import kept_rules
from commands.lifecycle import JOB_AT_REST, JOB_SOURCES
from commands.models import FrozenCohort, Job, JobEvent, JobTarget, JobWave
from commands.rollouts import (
    complete_rollout,
    instant,
    refuse_combinations,
)
from commands.selectors.definitions import get_definition_of_devices
from commands.selectors.job_changes import refuse_rolled_back
from commands.services.commands import actor_name
from commands.services.end_wakeup import wake_end_waiters
from commands.services.held_changes import (
    hold_change,
    refuse_held,
    refuse_held_job,
)
from commands.services.idempotency import claim_key, earlier_object
from commands.services.job_judgment import accept_results
from commands.services.job_placement import checked_members, place_job_members
from commands.services.member_health import keep_after
from commands.services.sweeps import cancel_for_ended_jobs_across_tenants
from commands.services.transitions import PLATFORM
from commands.validation import check_params, complete_policy
from iotplatform.common import bulk_sql
from iotplatform.common.counts import counted
from iotplatform.common.ids import new_public_id
from iotplatform.common.storable import is_storable
from registry.models import Tenant, User
from state.choices import AttentionKind, AttentionObject
from state.services.attention import Attention, ask_for_attention, end_attention

J = JobStatus
AWAITING_APPROVAL = "awaiting_approval"
# In these, an entry of the attention inbox may be open.
NEEDS_PERSON = frozenset({J.PAUSED, J.STOPPED, AWAITING_APPROVAL})
# What a person retried meanwhile belongs to the job again, if it stops once more.
GIVE_BACK = f"""
    UPDATE commands_command SET lane = {Lane.RETRY.value} WHERE id = ANY(ARRAY(
        SELECT id FROM commands_command
        WHERE job_id = %s AND lane = {Lane.BY_HAND.value} AND ended_at IS NULL
        ORDER BY id FOR UPDATE
    ))
"""


@dataclass(frozen=True)
class FrozenTarget:
    """Where the member list comes from: query, instant, index lag, and its hash."""

    query: str
    taken_at: datetime
    index_lag_seconds: float | None
    target_hash: str


def find_earlier_job(
    *, tenant: Tenant, idempotency_key: str | None, request: str
) -> Job | None:
    """Return the job that the same request made before, to skip resolving the cohort.

    Raises IdempotencyKeyReused if the key was used with another request.
    """
    public_id = earlier_object(tenant, idempotency_key, request, kind=KeyKind.JOB)
    if public_id is None:
        return None
    return Job.objects.get(tenant=tenant, public_id=public_id)


@transaction.atomic
def create_job(
    *,
    tenant: Tenant,
    name: str,
    device_ids: Sequence[int],
    command: dict[str, Any],
    rollout: dict[str, Any] | None,
    frozen: FrozenTarget,
    actor: User | None,
    idempotency_key: str | None,
    request: str,
    now: datetime | None = None,
) -> tuple[Job, bool]:
    """Freeze the members and plan the waves; return the job and whether it is new.

    ``request`` is the fingerprint of the request. Every id is checked again: an id of
    another tenant refuses the whole request, a device that may not join is skipped with
    a reason. Raises InvalidCommand or InvalidRollout for a command or rollout that
    cannot be used, and if no device may join.
    """
    now = now or timezone.now()
    definition, without = get_definition_of_devices(
        tenant, device_ids, command.get("name", ""), within="command."
    )
    draft = _checked_draft(tenant, name, definition, command, rollout, now)
    draft.created_by = actor
    earlier = claim_key(
        tenant,
        idempotency_key,
        request,
        kind=KeyKind.JOB,
        public_id=draft.public_id,
        now=now,
    )
    if earlier is not None:
        return Job.objects.get(tenant=tenant, public_id=earlier), False
    refuse_held(
        tenant,
        command_name=draft.command_name,
        command_class=draft.command_class,
        params=draft.params,
        device_ids=device_ids,
    )
    members = checked_members(tenant, device_ids, without, definition, draft.params)
    draft.cohort = FrozenCohort.objects.create(
        tenant=tenant,
        query=frozen.query,
        taken_at=frozen.taken_at,
        index_lag_seconds=frozen.index_lag_seconds,
        target_count=len(members),
        target_hash=frozen.target_hash,
    )
    draft.save(force_insert=True)
    joining = place_job_members(draft, members)
    cause = f"created for {counted(joining, 'device')}"
    record_job_event(draft, at=now, actor=actor_name(actor), cause=cause)
    return draft, True


def start_job(
    *, job: Job, actor: User | None, reason: str = "", now: datetime | None = None
) -> Job:
    """Start now, or at the start time if that is in the future."""
    now = now or timezone.now()
    refuse_held_job(job)
    later = job.start_at is not None and job.start_at > now and job.status == J.DRAFT
    to = J.SCHEDULED if later else J.RUNNING
    sources = frozenset({J.DRAFT, J.SCHEDULED})
    return _move(job, to, sources, actor, reason, "started", now, starts=True)


def ready_status(start_at: datetime | None) -> JobStatus:
    """Return the status of a job that nothing but a start or its time is missing."""
    return J.SCHEDULED if start_at else J.DRAFT


def pause_job(*, job: Job, actor: User | None, reason: str) -> Job:
    """Send no more commands until a person resumes the job."""
    return _move(job, J.PAUSED, JOB_SOURCES[J.PAUSED], actor, reason, "paused")


@transaction.atomic
def resume_job(*, job: Job, actor: User | None, reason: str) -> Job:
    """Continue; what has ended so far is accepted, and not judged again.

    Raises InvalidCommand without a reason, and TransitionRefused for a job that is
    neither paused nor stopped.
    """
    if not reason.strip():
        raise InvalidCommand(reason="Say why the job may continue.")
    refuse_rolled_back(job)
    released = JobWave.objects.filter(job=job).exclude(status=WaveStatus.PENDING)
    # It was paused before its start, which still has its conditions.
    waits = job.start_at is not None and not released.exists()
    to = J.SCHEDULED if waits else J.RUNNING
    moved = _move(job, to, frozenset({J.PAUSED, J.STOPPED}), actor, reason, "resumed")
    accept_results(moved)
    bulk_sql.run(GIVE_BACK, [moved.pk])
    return moved


@transaction.atomic
def cancel_job(*, job: Job, actor: User | None, reason: str) -> Job:
    """Cancel the job, and every command of it that was not sent yet."""
    moved = _move(
        job, J.CANCELLED, JOB_SOURCES[J.CANCELLED], actor, reason, "cancelled"
    )
    JobTarget.objects.filter(job=moved, command__isnull=True, skip_reason="").update(
        skip_reason="the job was cancelled"
    )
    # The first batch is cancelled here; the sweep cancels the rest within seconds, and
    # no adapter can claim one of them meanwhile.
    cancel_for_ended_jobs_across_tenants(now=moved.status_since)
    return moved


def move_job(job: Job, to: JobStatus, *, at: datetime, actor: str, cause: str) -> None:
    """Move a locked job and record it; the only place that writes a job's status."""
    if job.status not in JOB_SOURCES[to]:
        raise TransitionRefused(f"The job is {job.get_status_display()}.")
    if job.status in NEEDS_PERSON:
        end_attention([job.public_id], at=at)
    job.status = to
    job.status_since = at
    job.stop_reason = cause if to in (J.PAUSED, J.STOPPED) else ""
    job.ended_at = at if to in (J.COMPLETED, J.CANCELLED) else None
    if to == J.PAUSED:
        job.paused_at = job.paused_at or at
    elif to != J.RUNNING:
        job.paused_at = None
    moved = ("status", "status_since", "stop_reason", "ended_at")
    job.save(update_fields=[*moved, "started_at", "paused_at"])
    record_job_event(job, at=at, actor=actor, cause=cause)
    if to in (J.PAUSED, J.STOPPED) and actor == PLATFORM:
        # Whoever pauses a job knows of it already.
        reason = f"{job.get_status_display()}: {cause}"
        _need_person(job, AttentionKind.JOB, reason)
    if to == J.STOPPED:
        hold_change(job, at=at)
    if to in JOB_AT_REST:
        keep_after(job)
        wake_end_waiters()


def _need_person(job: Job, kind: AttentionKind, reason: str) -> None:
    asked = Attention(
        tenant_id=job.tenant_id,
        kind=kind,
        object_kind=AttentionObject.JOB,
        object_id=job.public_id,
        episode=job.status_since.isoformat(),
        device_id=None,
        reason=reason,
        at=job.status_since,
    )
    ask_for_attention([asked])


def record_job_event(job: Job, *, at: datetime, actor: str, cause: str) -> None:
    """Record a change or remark of a job, with the status it has now."""
    JobEvent.objects.create(
        tenant_id=job.tenant_id,
        job=job,
        at=at,
        status=job.status,
        actor=actor,
        cause=cause,
    )
    if job.status == AWAITING_APPROVAL:
        reason = "it waits for the approval of a second person"
        _need_person(job, AttentionKind.APPROVAL, reason)


@transaction.atomic
def _move(
    job: Job,
    to: JobStatus,
    sources: frozenset[JobStatus],
    actor: User | None,
    reason: str,
    verb: str,
    now: datetime | None = None,
    *,
    starts: bool = False,
) -> Job:
    # no_key: meanwhile a sweep that has locked commands may add one to the job.
    rows = Job.objects.select_for_update(of=("self",), no_key=True)
    locked = rows.get(pk=job.pk)
    if locked.status not in sources:
        allowed = ", ".join(sorted(sources))
        raise TransitionRefused(
            f"The job is {locked.get_status_display()}; only one that is {allowed}"
            f" can be {verb}."
        )
    cause = f"{verb} by {actor_name(actor)}" + (f": {reason}" if reason else "")
    at = now or timezone.now()
    if starts:
        locked.started_at = at
    move_job(locked, to, at=at, actor=actor_name(actor), cause=cause)
    return locked


def _checked_draft(
    tenant: Tenant,
    name: str,
    definition: Definition,
    command: dict[str, Any],
    rollout: dict[str, Any] | None,
    now: datetime,
) -> Job:
    """Return an unsaved job, with everything that does not depend on its members."""
    params = command.get("params", {})
    policy = command.get("policy")
    check_params(definition, params, within="command.")
    complete = complete_rollout(rollout, now=now)
    refuse_combinations(complete, definition.name)
    start_at = instant(complete["start_at"], field="start_at")
    return Job(
        public_id=new_public_id(),
        tenant=tenant,
        name=_checked_name(name),
        command_name=definition.name,
        command_class=definition.command_class,
        params=params,
        policy=complete_policy(definition, policy, within="command."),
        definition=definition.snapshot(),
        failure_rules=kept_rules(definition.reactions, policy),
        rollout=complete,
        created_at=now,
        status=J.AWAITING_APPROVAL
        if definition.needs_approval or complete["approval"]
        else ready_status(start_at),
        status_since=now,
        start_at=start_at,
        deadline=instant(complete["deadline"], field="deadline"),
    )


def _checked_name(name: str) -> str:
    if not name.strip() or len(name) > 200 or not is_storable(name):
        raise InvalidCommand(name="1 to 200 characters.")
    return name.strip()
