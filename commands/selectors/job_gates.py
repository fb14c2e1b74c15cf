"""Reads of health gates: what one says now."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.utils import timezone

from commands.choices import JobStatus
from commands.judgment.gate_state import GateState, restored
from commands.judgment.gate_words import bound_of, share_of, why_breached, why_held
from commands.judgment.health_gate import is_numeric
from commands.models import Job, JobHealth
from state.selectors.adapter_liveness import blind_since_by_adapter

HOLDS, PASSES, BREACHED = "holds", "passes", "breached"
NOTHING = {"n": 0, "value": None}


def blind_adapters(now: datetime) -> frozenset[str]:
    """Return the adapters that hear nothing now."""
    since = blind_since_by_adapter(now)
    return frozenset(name for name, at in since.items() if at is not None)


def gates_of(
    jobs: Collection[Job], health: dict[int, JobHealth], *, now: datetime | None = None
) -> dict[int, dict[str, Any]]:
    """Return what the gate of each job says; jobs without a gate are left out."""
    now = now or timezone.now()
    gated = [job for job in jobs if job.rollout.get("health_gate")]
    blind = blind_adapters(now) if gated else frozenset()
    return {job.pk: _gate_data(job, health.get(job.pk), blind) for job in gated}


def _gate_data(
    job: Job, row: JobHealth | None, blind: frozenset[str]
) -> dict[str, Any]:
    if row is None or row.gate is None:
        return {
            "updated": NOTHING,
            "control": NOTHING,
            "bound": None,
            "verdict": HOLDS,
            "text": "It has not begun.",
            "threshold": None,
        }
    gate, state = job.rollout["health_gate"], restored(row.gate)
    span = state.shown
    verdict, text = _verdict(job, gate, state, blind)
    numeric = is_numeric(gate) and span.limit is not None
    return {
        "updated": {"n": span.updated.count, "value": share_of(span.updated)},
        "control": {"n": span.control.count, "value": share_of(span.control)},
        "bound": bound_of(gate, span) if span.control.count else None,
        "verdict": verdict,
        "text": text,
        "threshold": (span.limit or 0) + gate["worse_by"] if numeric else None,
    }


def _verdict(
    job: Job, gate: dict[str, Any], state: GateState, blind: frozenset[str]
) -> tuple[str, str]:
    if state.is_breached:
        return BREACHED, why_breached(gate, state)
    is_over = job.status == JobStatus.COMPLETED
    unheard = [] if is_over else sorted(blind & set(state.adapters))
    passed = state.has_passed or (is_over and state.has_compared)
    if passed and not unheard:
        return PASSES, "The updated devices do not do worse than allowed."
    return HOLDS, why_held(state, blind=unheard)
