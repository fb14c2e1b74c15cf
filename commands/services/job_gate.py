"""The health gate of a job: look at its members, stop it, or let it go on."""

from __future__ import annotations

from datetime import datetime, timedelta

from commands.choices import JobStatus
from commands.judgment.gate_state import (
    GateState,
    Span,
    begin_gate,
    restored,
    stored,
)
from commands.judgment.gate_words import why_breached
from commands.models import Job, JobHealth
from commands.selectors.job_gates import blind_adapters
from commands.selectors.job_groups import (
    find_fresh,
    list_adapters,
    look_at_members,
)

# So long after it was seen to be blind, the platform counts as blind.
BLIND = timedelta(seconds=1)


def find_breach(job: Job, *, now: datetime) -> str:
    """Look at the members of a locked running job; return why it must stop, if so.

    Each member is counted once, also if a worker ends between two looks. While an
    adapter of the members is blind there is no look. After a person has resumed a
    stopped job the tests begin anew, with the members from then on.
    """
    gate = job.rollout.get("health_gate")
    if gate is None:
        return ""
    row, state = _state_of(job, now)
    if blind_adapters(now) & set(state.adapters):
        state.blind_at = now
        _save(row, state)
        return ""
    moved = [span for span in state.spans if _look(job, span, now)]
    reason = ""
    if moved and state.convinces:
        state.is_breached, state.has_passed = True, False
        reason = why_breached(gate, state)
    if moved or reason:
        _save(row, state)
    return reason


def gate_holds(job: Job, *, now: datetime) -> bool:
    """Whether the gate cannot see the members: nobody else gets the command then.

    After a blind time the soak time begins again.
    """
    if job.rollout.get("health_gate") is None:
        return False
    _, state = _state_of(job, now)
    return state.blind_at is not None and now < state.blind_at + BLIND


def gate_lets_pass(job: Job, *, now: datetime) -> bool:
    """Whether the next wave may begin, now that the soak time is over."""
    if job.rollout.get("health_gate") is None:
        return True
    row, state = _state_of(job, now)
    soak = timedelta(seconds=job.rollout["soak_seconds"])
    if state.blind_at is not None and now < state.blind_at + max(soak, BLIND):
        return False
    if state.has_compared and not state.has_passed:
        state.has_passed = True
        _save(row, state)
    return True


def _state_of(job: Job, now: datetime) -> tuple[JobHealth, GateState]:
    row = JobHealth.objects.filter(job=job).first()
    row = row or JobHealth(job=job, tenant_id=job.tenant_id)
    if row.gate is None:
        return row, _begin(job, row, now)
    state = restored(row.gate)
    if state.is_breached and job.status == JobStatus.RUNNING:
        return row, _begin(job, row, now)
    return row, state


def _begin(job: Job, row: JobHealth, now: datetime) -> GateState:
    """Begin the tests, and look at how the members did before the first command."""
    gate = job.rollout["health_gate"]
    state = begin_gate(
        gate,
        soak_seconds=job.rollout["soak_seconds"],
        adapters=list_adapters(job),
        now=now,
    )
    for span in state.spans:
        # Who has the command already is not counted: a person has accepted that.
        span.counted_until = now
        span.add(look_at_members(job, gate, span, now=now), at=now)
        span.counted_until = now
    _save(row, state)
    return state


def _look(job: Job, span: Span, now: datetime) -> bool:
    """Count what a span can count now; return whether the span has moved.

    Observations of the same control must not overlap, so a look waits for a whole span
    after the last one; and it waits for members that got their command shortly after
    the others, but not for more than another span.
    """
    if now < max(span.check_at, span.looked_at + span.length):
        return False
    fresh = find_fresh(job, span, now=now)
    if fresh.oldest_ready is None:
        # Whoever gets the command from now on is ready after a whole span only.
        newest = fresh.newest_young
        span.check_at = newest + span.length if newest else now + span.length / 2
        return True
    latest = fresh.oldest_ready + 2 * span.length
    if fresh.newest_young is not None and now < latest:
        span.check_at = min(fresh.newest_young + span.length, latest)
        return True
    gate = job.rollout["health_gate"]
    span.add(look_at_members(job, gate, span, now=now), at=now)
    return True


def _save(row: JobHealth, state: GateState) -> None:
    row.gate = stored(state)
    if row._state.adding:
        row.save(force_insert=True)
    else:
        row.save(update_fields=["gate"])
