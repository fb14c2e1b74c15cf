"""The members of a job: who joins it, and in which wave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
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


def place_job_members(job: Job, members: dict[int, str]) -> int:
    """Write the waves and their members; return how many devices join."""
    joining = [pk for pk, reason in members.items() if not reason]
    turns: dict[int, dict[int, Turn]] = {}
    if allowed := allowed_of(job.rollout):
        turns, left_out = judge_systems(joining, str(job.params["version"]), allowed)
        members = members | {pk: left_out[pk] for pk in joining if pk in left_out}
        joining = [pk for pk in joining if pk not in left_out]
        if not joining:
            reason = next(iter(left_out.values()))
            message = f"No device may join: {reason}."
            field = {"field": "rollout.combinations", "message": message}
            raise InvalidRollout(errors=[field])
    waves, waves_of = place_members(
        joining,
        job.rollout,
        seed=str(job.public_id),
        gateways=find_gateways_among(joining),
    )
    if turns:
        waves_of = place_in_order(waves_of, turns)
        sizes = Counter(waves_of.values())
        waves = [PlannedWave(number, sizes[number]) for number in sorted(sizes)]
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
    return len(joining)


def _insert_targets(job: Job, rows: Sequence[tuple[int, int | None, str]]) -> None:
    for start in range(0, len(rows), INSERT_BATCH):
        columns = bulk_sql.columns_of(rows[start : start + INSERT_BATCH], 3)
        bulk_sql.run(INSERT_TARGETS, [job.tenant_id, job.pk, *columns])
