"""Jobs over a cohort: resolve it, freeze it, and hand the ids down."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from commands.rollouts import complete_rollout, plan_waves
from commands.selectors.job_members import member_facts
from commands.services import jobs
from commands.services.idempotency import fingerprint
from commands.validation import checked_definition, complete_policy
from fleet.selectors import job_preview
from fleet.services.targets import (
    Targets,
    check_expected_hash,
    remember_preview,
    resolve_targets,
)
from state.selectors import count_by_connectivity

if TYPE_CHECKING:
    from commands.models import Job
    from registry.models import Tenant, User


@dataclass(frozen=True)
class JobRequest:
    """What is to be done, to whom, in which order."""

    tenant: Tenant
    name: str
    # Exactly one of query, cohort (id), snapshot (id), devices (uids).
    source: dict[str, Any]
    command: dict[str, Any]  # name, params, policy
    rollout: dict[str, Any] = field(default_factory=dict)
    expected_hash: str | None = None

    @property
    def fingerprint(self) -> str:
        """Return what tells this request from another one with the same key."""
        return fingerprint(
            self.name, self.source, self.command, self.rollout, self.expected_hash
        )


def launch_job(
    request: JobRequest, *, actor: User | None, idempotency_key: str | None
) -> tuple[Job, bool]:
    """Freeze the devices and make the job; say whether it is a new one.

    A repeat of a request returns the first job and resolves nothing. Refuses devices
    that are not those of ``expected_hash`` (TargetMoved), a source that cannot be
    resolved (BadInput, QueryError, NoSuchCohort, NoSuchSnapshot, IndexUnavailable), and
    what ``commands.services.jobs.create_job`` refuses.
    """
    earlier = jobs.find_earlier_job(
        tenant=request.tenant,
        idempotency_key=idempotency_key,
        request=request.fingerprint,
    )
    if earlier is not None:
        return earlier, False
    targets = _resolve(request)
    return jobs.create_job(
        tenant=request.tenant,
        name=request.name,
        device_ids=targets.device_ids,
        command=request.command,
        rollout=request.rollout,
        frozen=jobs.FrozenTarget(
            query=targets.query,
            taken_at=targets.taken_at,
            index_lag_seconds=targets.index_lag_seconds,
            target_hash=targets.target_hash,
        ),
        actor=actor,
        idempotency_key=idempotency_key,
        request=request.fingerprint,
    )


def preview_job(request: JobRequest) -> dict[str, Any]:
    """Return scope, risk and hash of the job that this would make; makes nothing.

    Refuses what ``launch_job`` refuses, except a set of which no device may join: that
    is what a preview is there to show.
    """
    definition = checked_definition(
        request.command.get("name", ""),
        request.command.get("params", {}),
        within="command.",
    )
    complete_policy(definition, request.command.get("policy"), within="command.")
    rollout = complete_rollout(request.rollout, now=timezone.now())
    targets = _resolve(request)
    reasons = member_facts(request.tenant, targets.device_ids)
    joining = [device_id for device_id, reason in reasons.items() if not reason]
    waves = plan_waves(len(joining), rollout)
    remember_preview(request.tenant, targets)
    connectivity = count_by_connectivity(joining)
    left_out = Counter(reason for reason in reasons.values() if reason)
    return {
        "target_hash": targets.target_hash,
        "target_count": len(targets.members),
        "query": targets.query or None,
        "taken_at": targets.taken_at,
        "index_lag_seconds": targets.index_lag_seconds,
        "scope": {
            "matched": len(targets.members),
            "targets": len(joining),
            "left_out": [
                {"reason": reason, "count": count}
                for reason, count in left_out.most_common()
            ],
            "sites": job_preview.sites_of(tenant=request.tenant, device_ids=joining),
            "waves": [
                {"number": wave.number, "canary": wave.is_canary, "size": wave.size}
                for wave in waves
            ],
        },
        "risk": {
            "connectivity": connectivity,
            "not_online": len(joining) - connectivity.get("online", 0),
            "in_other_jobs": job_preview.count_in_other_jobs(joining),
            "with_open_commands": job_preview.count_with_open_commands(joining),
        },
    }


def _resolve(request: JobRequest) -> Targets:
    targets = resolve_targets(tenant=request.tenant, source=request.source)
    check_expected_hash(
        targets, tenant=request.tenant, expected_hash=request.expected_hash
    )
    return targets
