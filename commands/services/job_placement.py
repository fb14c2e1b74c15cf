"""The members of a job: who joins it, and in which wave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from commands.definitions import Definition
from commands.exceptions import InvalidCommand, InvalidRollout
from commands.judgment.combinations import Turn, allowed_of, place_in_order
from commands.models import Job, JobTarget, JobWave
from commands.rollouts import MAX_MEMBERS, PlannedWave, place_members
from commands.selectors.gateway_systems import judge_systems
from commands.selectors.job_members import (
    COMPLIANT,
    find_gateways_among,
    get_join_refusals,
)
from iotplatform.common import bulk_sql
from iotplatform.common.counts import counted
from registry.models import Tenant

INSERT_BATCH = 50_000  # five arrays of this length are some megabytes of parameters

INSERT_TARGETS = f"""
    INSERT INTO commands_jobtarget (tenant_id, job_id, device_id, wave, skip_reason)
    SELECT %s, %s, v.*
    FROM {bulk_sql.unnest(JobTarget, "device_id", "wave", "skip_reason")}
"""


def checked_members(
    tenant: Tenant,
    device_ids: Sequence[int],
    without: Collection[int],
    definition: Definition,
    params: dict[str, Any],
) -> dict[int, str]:
    """Return for each member the reason why it may not join; empty if it may.

    ``without`` are the products that do not have the command. Raises InvalidCommand for
    too many devices, for one that does not exist, and if none may join.
    """
    wanted = set(device_ids)
    if len(wanted) > MAX_MEMBERS:
        raise InvalidCommand(devices=f"At most {MAX_MEMBERS} devices in one job.")
    members = get_join_refusals(
        tenant, sorted(wanted), without=without, definition=definition, params=params
    )
    if len(members) != len(wanted):
        missing = len(wanted) - len(members)
        raise InvalidCommand(devices=f"{missing} of the devices do not exist.")
    if COMPLIANT in members.values() and all(members.values()):
        count = sum(reason == COMPLIANT for reason in members.values())
        have = f"{counted(count, 'device')} {'has' if count == 1 else 'have'}"
        raise InvalidCommand(
            devices=f"Nothing would change: {have} these values already."
        )
    if all(members.values()):
        raise InvalidCommand(devices="No device of this set may join a job.")
    return members


@dataclass(frozen=True)
class Plan:
    """The waves of a job, the wave of each member, and who is left out."""

    waves: list[PlannedWave]
    waves_of: dict[int, int]
    left_out: dict[int, str]
    turns: dict[int, dict[int, Turn]]  # of the children, by gateway

    def count_waiting(self, turn: Turn) -> int:
        """Count who waits for the half of their system that has this turn."""
        both = [
            (gateway, child)
            for gateway, children in self.turns.items()
            for child, first in children.items()
            if first == turn and gateway in self.waves_of and child in self.waves_of
        ]
        return len({pair[turn == Turn.GATEWAY] for pair in both})


def plan_members(
    joining: Sequence[int],
    rollout: Mapping[str, Any],
    *,
    seed: str,
    versions: Mapping[int, str],
) -> Plan:
    """Place members in waves, of each system the first half before the second.

    ``versions`` are what the members get, by device; only combinations need them.
    """
    turns: dict[int, dict[int, Turn]] = {}
    left_out: dict[int, str] = {}
    if allowed := allowed_of(rollout):
        turns, left_out = judge_systems(versions, allowed)
        joining = [pk for pk in joining if pk not in left_out]
    waves, waves_of = place_members(
        joining, rollout, seed=seed, gateways=find_gateways_among(joining)
    )
    if turns:
        waves_of = place_in_order(waves_of, turns)
        sizes = Counter(waves_of.values())
        waves = [PlannedWave(number, sizes[number]) for number in sorted(sizes)]
    return Plan(waves, waves_of, left_out, turns)


def versions_of(params: Mapping[str, Any], device_ids: Iterable[int]) -> dict[int, str]:
    """Return what an update gives to each device; empty for another command."""
    return (
        dict.fromkeys(device_ids, str(params["version"])) if "version" in params else {}
    )


def place_job_members(
    job: Job, members: dict[int, str], *, versions: Mapping[int, str] | None = None
) -> int:
    """Write the waves and their members; return how many devices join.

    ``versions`` are what the members get, where each has its own.
    """
    joining = [pk for pk, reason in members.items() if not reason]
    if versions is None:
        versions = versions_of(job.params, joining)
    # The seed of the preview, too: who confirmed a list gets the waves that were shown.
    plan = plan_members(
        joining, job.rollout, seed=job.cohort.target_hash, versions=versions
    )
    waves, waves_of, left_out = plan.waves, plan.waves_of, plan.left_out
    if joining and not waves_of:
        reason = next(iter(left_out.values()))
        message = f"No device may join: {reason}."
        field = {"field": "rollout.combinations", "message": message}
        raise InvalidRollout(errors=[field])
    members = members | {pk: left_out[pk] for pk in joining if pk in left_out}
    JobWave.objects.bulk_create(
        JobWave(
            tenant_id=job.tenant_id,
            job=job,
            number=wave.number,
            is_canary=wave.is_canary,
            size=wave.size,
        )
        for wave in waves
    )
    placed = [(pk, number, "") for pk, number in waves_of.items()]
    skipped = [(pk, None, reason) for pk, reason in members.items() if reason]
    _insert_targets(job, [*placed, *skipped])
    return len(waves_of)


def _insert_targets(job: Job, rows: Sequence[tuple[int, int | None, str]]) -> None:
    for start in range(0, len(rows), INSERT_BATCH):
        columns = bulk_sql.columns_of(rows[start : start + INSERT_BATCH], 3)
        bulk_sql.run(INSERT_TARGETS, [job.tenant_id, job.pk, *columns])
