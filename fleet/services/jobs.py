"""New jobs: resolve the devices, freeze them, and pass their ids to commands."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from commands.judgment.combinations import Turn
from commands.rollouts import complete_rollout, refuse_combinations
from commands.selectors.definitions import get_definition_of_devices
from commands.selectors.job_costs import estimate_cost
from commands.selectors.job_members import (
    COMPLIANT,
    get_join_refusals,
)
from commands.services import jobs
from commands.services.held_changes import refuse_held
from commands.services.idempotency import fingerprint
from commands.services.job_maintenance import longest_maintenance
from commands.services.job_placement import plan_members, versions_of
from commands.validation import check_params, complete_policy
from fleet.selectors import job_preview
from fleet.services.targets import (
    Targets,
    check_expected_hash,
    resolve_targets,
    store_preview,
)
from state.selectors import count_by_connectivity

if TYPE_CHECKING:
    from commands.models import Job
    from registry.models import Tenant, User


@dataclass(frozen=True)
class JobRequest:
    """A command, its devices, and its rollout."""

    tenant: Tenant
    name: str
    # Exactly one of query, cohort (id), snapshot (id), devices (uids).
    source: dict[str, Any]
    command: dict[str, Any]  # name, params, policy
    rollout: dict[str, Any] = field(default_factory=dict)
    expected_hash: str | None = None
    # The devices of ``source``, where the caller has resolved them already.
    targets: Targets | None = None

    @property
    def fingerprint(self) -> str:
        """A hash that differs for another request with the same key."""
        return fingerprint(
            self.name, self.source, self.command, self.rollout, self.expected_hash
        )


def launch_job(
    request: JobRequest, *, actor: User | None, idempotency_key: str | None
) -> tuple[Job, bool]:
    """Freeze the devices and create the job; return it and whether it is new.

    A repeated request returns the first job and resolves nothing. Raises TargetMoved
    (the devices are not those of ``expected_hash``), what ``resolve_targets`` raises,
    and what ``commands.services.jobs.create_job`` raises.
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
    """Return scope, risk, cost and hash of the job without creating it.

    The scope counts the devices that have the values of a configuration already
    (``compliant``), and says for how long the alarms of each device are held back at
    most while the job works on it.

    Raises what ``launch_job`` raises, except where no device may join the job: showing
    that is the purpose of a preview.
    """
    rollout = complete_rollout(request.rollout, now=timezone.now())
    targets = _resolve(request)
    command = request.command
    definition, without = get_definition_of_devices(
        request.tenant, targets.device_ids, command.get("name", ""), within="command."
    )
    check_params(definition, command.get("params", {}), within="command.")
    refuse_held(
        request.tenant,
        command_name=definition.name,
        command_class=definition.command_class,
        params=command.get("params", {}),
        device_ids=targets.device_ids,
    )
    policy = complete_policy(definition, command.get("policy"), within="command.")
    reasons = get_join_refusals(
        request.tenant,
        targets.device_ids,
        without=without,
        definition=definition,
        params=command.get("params", {}),
    )
    joining = [device_id for device_id, reason in reasons.items() if not reason]
    refuse_combinations(rollout, definition.name)
    plan = plan_members(
        joining,
        rollout,
        seed=targets.target_hash,
        versions=versions_of(command.get("params", {}), joining),
    )
    reasons |= {pk: plan.left_out[pk] for pk in joining if pk in plan.left_out}
    joining, waves = [pk for pk in joining if not reasons[pk]], plan.waves
    store_preview(request.tenant, targets)
    connectivity = count_by_connectivity(joining)
    held_back = longest_maintenance(policy)
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
            "compliant": left_out[COMPLIANT],
            "left_out": [
                {"reason": reason, "count": count}
                for reason, count in left_out.most_common()
            ],
            "sites": job_preview.count_by_site(
                tenant=request.tenant, device_ids=joining
            ),
            "alarms_held_back_seconds": int(held_back.total_seconds()),
            "waves": [
                {"number": wave.number, "canary": wave.is_canary, "size": wave.size}
                for wave in waves
            ],
            "waits_for_gateway": plan.count_waiting(Turn.GATEWAY),
            "waits_for_children": plan.count_waiting(Turn.CHILD),
        },
        "risk": {
            "connectivity": connectivity,
            "not_online": len(joining) - connectivity.get("online", 0),
            "in_other_jobs": job_preview.count_in_other_jobs(joining),
            "with_open_commands": job_preview.count_with_open_commands(joining),
        },
        "cost": estimate_cost(
            request.tenant,
            joining,
            command_name=definition.name,
            params=command.get("params", {}),
            waves=[wave.size for wave in waves],
            rollout=rollout,
            seed=targets.target_hash,
        ),
    }


def _resolve(request: JobRequest) -> Targets:
    targets = request.targets or resolve_targets(
        tenant=request.tenant, source=request.source
    )
    check_expected_hash(
        targets, tenant=request.tenant, expected_hash=request.expected_hash
    )
    return targets
