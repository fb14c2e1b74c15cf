"""Handing out a wave: a batch of its members gets commands, in a few statements."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from commands.choices import CommandClass, CommandStatus, FailureClass, Lane, WaitsFor
from commands.definitions import UPDATE_FIRMWARE, Definition
from commands.models import Command, Job, JobTarget, JobWave
from commands.rollouts import MAX_IN_FLIGHT
from commands.selectors.definitions import definition_of_job
from commands.selectors.gateway_systems import find_blocked, waiting_members
from commands.selectors.job_changes import own_params
from commands.selectors.job_members import list_next_members
from commands.selectors.job_tallies import (
    count_unanswered,
    count_unanswered_of_tenant,
)
from commands.selectors.pending import MAX_PENDING, find_full_devices
from commands.services.adapter_wakeup import wake_adapters
from commands.services.commands import (
    WAITS,
    expiry_of,
    first_wait,
    supersede_configs,
)
from commands.services.job_gate import gate_holds
from commands.services.job_rate import take_tokens, tokens_of
from commands.services.previous_values import keep_firmware, keep_previous
from commands.services.transitions import PLATFORM, Moves
from iotplatform.common import bulk_sql
from iotplatform.common.ids import new_public_id_text
from state.choices import Connectivity
from state.judgment.desired_asks import Ask, named
from state.selectors import GATEWAY_AWAY, deliverability_of, sleeps_of
from state.services.twin import merge_desired_many

# All jobs of one tenant together: other tenants share the same adapters.
TENANT_IN_FLIGHT = 2_000
# Members of one transaction; more would have no room.
BATCH = TENANT_IN_FLIGHT

_OFFLINE = {
    Connectivity.OFFLINE.value: "is offline",
    GATEWAY_AWAY: "is behind a gateway that is not online",
}
_SKIP = bulk_sql.update_by_key(JobTarget, "skip_reason")
_OWN = (
    *("public_id", "device_id", "waits_for", "clock_stopped_at", "due_at"),
    *("params", "expectation", "desired_version"),
)
# Per member: its key, what differs from the job (_OWN), and the words of its event.
_MEMBERS = (
    "unnest(%s::bigint[], %s::text[], "
    f"{bulk_sql.arrays_of(Command, *_OWN)}) AS v(target_id, remark, {', '.join(_OWN)})"
)
# The commands, their first events and the members' links, in one statement. What is
# the same for all comes from the row of the job.
_HAND_OUT = f"""
    WITH member AS MATERIALIZED (
        SELECT * FROM {_MEMBERS}
    ), made AS (
        INSERT INTO commands_command (
            public_id, tenant_id, device_id, name, command_class, params, policy,
            is_repeatable, is_disconnecting, failure_rules, job_id, requested_by_id,
            created_at, status, status_since, waits_for, failure_class, late,
            expires_at, due_at, adapter, lane, clock_stopped_at, attempt_count,
            uncounted_attempts, expectation, desired_version)
        SELECT m.public_id, d.tenant_id, d.id, j.command_name, j.command_class,
            coalesce(m.params, j.params), j.policy, %s, %s, j.failure_rules, j.id,
            j.created_by_id, o.now,
            CASE m.waits_for WHEN '' THEN '{CommandStatus.QUEUED.value}'
                ELSE '{CommandStatus.HELD.value}' END,
            o.now, m.waits_for,
            CASE m.waits_for WHEN '{WaitsFor.GATEWAY.value}'
                THEN '{FailureClass.GATEWAY_UNREACHABLE.value}' ELSE '' END,
            false, o.expires_at,
            CASE m.waits_for WHEN '' THEN o.now
                ELSE coalesce(m.due_at, o.expires_at) END,
            d.adapter, {Lane.JOB.value}, m.clock_stopped_at, 0, 0,
            CASE WHEN m.params IS NULL THEN o.expectation ELSE m.expectation END,
            m.desired_version
        FROM member m
        JOIN registry_device d ON d.id = m.device_id
        JOIN commands_job j ON j.id = %s
        CROSS JOIN (SELECT %s::timestamptz, %s::timestamptz, %s::jsonb)
            AS o(now, expires_at, expectation)
        ORDER BY m.target_id
        RETURNING id, tenant_id, device_id, status, created_at
    ), told AS (
        INSERT INTO commands_commandevent
            (tenant_id, device_id, command_id, at, status, actor, cause)
        SELECT c.tenant_id, c.device_id, c.id, c.created_at, c.status, '{PLATFORM}',
            %s || m.remark
        FROM made c JOIN member m ON m.device_id = c.device_id
        ORDER BY c.id
    )
    UPDATE commands_jobtarget t SET command_id = c.id
    FROM made c JOIN member m ON m.device_id = c.device_id
    WHERE t.id = m.target_id
"""


@dataclass(slots=True)
class NewCommand:
    """What the command of one member has of its own."""

    target_id: int
    device_id: int
    connectivity: str
    public_id: str
    params: dict[str, Any] | None = None  # None: those of the job
    desired_version: int | None = None
    remark: str = ""


def hand_out(job: Job, wave: JobWave, now: datetime) -> None:
    """Create commands for a batch of the wave's members, as fast as the rate allows."""
    if gate_holds(job, now=now):
        return
    tokens = tokens_of(job, now=now)
    limit = BATCH if tokens is None else min(BATCH, tokens)
    limit = min(limit, room_of(job)) if limit > 0 else 0
    if limit <= 0:
        return
    has_systems = bool(job.rollout.get("combinations"))
    without = waiting_members(job) if has_systems else None
    members = list_next_members(job, wave.number, limit=limit, now=now, without=without)
    if not members:
        return
    # Their other half has ended without what they need, or was changed by hand.
    blocked = find_blocked([m.target_id for m in members]) if has_systems else {}
    ids = [member.device_id for member in members]
    connectivity = deliverability_of(ids)
    full = find_full_devices(ids)
    ready, skipped = [], {}
    for target_id, device_id, refusal in members:
        status = connectivity[device_id]
        reason = refusal or _skip_reason(job, status)
        if target_id in blocked:
            reason = f"would make {blocked[target_id]}: not allowed"[:200]
        if device_id in full:
            reason = f"has {MAX_PENDING} pending commands"
        if reason:
            skipped[target_id] = reason
            continue
        ready.append(NewCommand(target_id, device_id, status, new_public_id_text()))
    _skip(skipped)
    if ready:
        take_tokens(job, _create_commands(job, ready, now))


def room_of(job: Job) -> int:
    """Return how many more members may wait for an answer at the same time."""
    own = job.rollout.get("max_in_flight", MAX_IN_FLIGHT)
    return int(
        min(
            own - count_unanswered(job_id=job.pk),
            TENANT_IN_FLIGHT - count_unanswered_of_tenant(tenant_id=job.tenant_id),
        )
    )


def _skip_reason(job: Job, connectivity: str) -> str:
    if job.command_class == CommandClass.CONTROL and connectivity != "online":
        return f"is {connectivity}: real-time commands need an online device"
    if job.rollout["offline"] == "skip":
        return _OFFLINE.get(connectivity, "")
    return ""


def _skip(reasons: Mapping[int, str]) -> None:
    """Leave members out, each for its reason."""
    if reasons:
        rows = sorted(reasons.items())
        bulk_sql.run(_SKIP, bulk_sql.columns_of(rows, 2))


def _create_commands(job: Job, ready: Sequence[NewCommand], now: datetime) -> int:
    """Create a command for each of these members; return how many were created."""
    definition = definition_of_job(job)
    own = own_params([new.target_id for new in ready])
    for new in ready:
        new.params = own.get(new.target_id)
    if job.command_class == CommandClass.CONFIG:
        ready = _merge_config(job, ready, now)
    if not ready:
        return 0
    _insert(job, definition, ready, now)
    if job.command_name == UPDATE_FIRMWARE:
        keep_firmware(job, {new.target_id: new.device_id for new in ready})
    return len(ready)


def _merge_config(
    job: Job, ready: Sequence[NewCommand], now: datetime
) -> list[NewCommand]:
    """Merge the job's patch into the desired documents; the later ask wins.

    Keys that somebody changed after the job was asked for stay as they are: a command
    is sent without them, and a member of whom nothing is left is skipped. Return what
    is sent, each with its part of the patch.
    """
    merged = merge_desired_many(
        sorted(new.device_id for new in ready),
        job.params,
        at=now,
        ask=Ask(job.asked_at, "job", job.name),
        commands={new.device_id: UUID(new.public_id) for new in ready},
        patches={new.device_id: new.params for new in ready if new.params is not None},
    )
    sent, skipped = [], {}
    for new in ready:
        own = merged[new.device_id]
        if own.later:
            changed = [f"{named(p)} by {ask['who']}" for p, ask in own.later.items()]
            remark = f"changed later: {', '.join(changed)}"
            new.remark = f"; left out, {remark}"
        if not own.patch:
            skipped[new.target_id] = remark[:200] if own.later else ""
            continue
        new.desired_version, new.params = own.version, own.patch
        sent.append(new)
    _skip(skipped)
    keep_previous(job, {n.target_id: merged[n.device_id].previous for n in sent})
    moves = Moves(now=now)
    ids = [new.device_id for new in sent]
    supersede_configs(ids, moves, asked_at=job.asked_at)
    moves.write()
    return sent


def _insert(
    job: Job, definition: Definition, ready: Sequence[NewCommand], now: datetime
) -> None:
    """Write the commands, their first events and the links; wake the adapters once."""
    waits = [first_wait(job.command_class, new.connectivity) for new in ready]
    sleeps = sleeps_of(
        [
            n.device_id
            for n, w in zip(ready, waits, strict=True)
            if w == WaitsFor.DEVICE
        ],
        now=now,
    )
    rows = []
    for new, wait in zip(ready, waits, strict=True):
        sleep = sleeps.get(new.device_id)
        expected = None if new.params is None else definition.expected(new.params)
        rows.append(
            (
                new.target_id,
                WAITS.get(wait, "") + new.remark,
                new.public_id,
                new.device_id,
                wait.value,
                max(sleep.since, now) if sleep else None,
                sleep.wakes_at if sleep else None,
                _json(new.params),
                _json(expected),
                new.desired_version,
            )
        )
    bulk_sql.run(
        _HAND_OUT,
        [
            *bulk_sql.columns_of(rows, len(rows[0])),
            *(definition.is_repeatable, definition.is_disconnecting, job.pk, now),
            expiry_of(job.policy, now=now, deadline=job.deadline),
            _json(definition.expected(job.params)),
            f"released by job {job.name}",
        ],
    )
    if WaitsFor.NOTHING in waits:
        wake_adapters()


def _json(document: dict[str, Any] | None) -> str | None:
    return None if document is None else json.dumps(document)
