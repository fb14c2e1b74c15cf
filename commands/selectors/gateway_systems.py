"""Reads of gateways and their children, judged as one system by reported firmware.

Children that are retired or replaced belong to no system.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from commands.choices import JobStatus
from commands.judgment.combinations import Allowed, Pair, Turn, turn_of
from commands.models import Job
from iotplatform.common import bulk_sql
from registry.choices import Lifecycle
from state.choices import AttentionKind

MOST_NAMED = 10  # children in the text of one work item

_IN_SERVICE = f"""c.lifecycle NOT IN
    ('{Lifecycle.RETIRED.value}', '{Lifecycle.REPLACED.value}')"""
_PAIRS = f"""
    SELECT c.gateway_id, c.id, coalesce(gt.firmware, ''), coalesce(ct.firmware, ''),
        c.gateway_id = ANY(m.ids), c.id = ANY(m.ids)
    FROM (SELECT %s::bigint[] AS ids) m
    JOIN registry_device c ON c.id = ANY(m.ids) OR c.gateway_id = ANY(m.ids)
    LEFT JOIN state_twin gt ON gt.device_id = c.gateway_id
    LEFT JOIN state_twin ct ON ct.device_id = c.id
    WHERE c.gateway_id IS NOT NULL AND {_IN_SERVICE}
    ORDER BY 1, 2
"""
# Members of a wave whose update would lead out of the allowed combinations now, and
# whether the other half still has an open command of the job.
_BLOCKED = f"""
    WITH allowed AS (
        SELECT * FROM unnest(%s::text[], %s::text[]) AS a(gateway, child)
    ), member AS MATERIALIZED (
        SELECT id, device_id FROM commands_jobtarget
        WHERE job_id = %s AND wave = %s AND command_id IS NULL AND skip_reason = ''
    ), pair AS (
        SELECT m.id, c.id AS other_id, %s AS gateway, coalesce(t.firmware, '') AS child
        FROM member m JOIN registry_device c ON c.gateway_id = m.device_id
        LEFT JOIN state_twin t ON t.device_id = c.id
        WHERE {_IN_SERVICE}
        UNION ALL
        SELECT m.id, c.gateway_id, coalesce(t.firmware, ''), %s
        FROM member m JOIN registry_device c ON c.id = m.device_id
        LEFT JOIN state_twin t ON t.device_id = c.gateway_id
        WHERE c.gateway_id IS NOT NULL
    )
    SELECT p.id, min(p.gateway || ' with ' || p.child), bool_or(EXISTS (
        SELECT FROM commands_jobtarget o JOIN commands_command x ON x.id = o.command_id
        WHERE o.job_id = %s AND o.device_id = p.other_id AND x.ended_at IS NULL))
    FROM pair p
    WHERE NOT EXISTS (
        SELECT FROM allowed a WHERE a.gateway = p.gateway AND a.child = p.child)
    GROUP BY p.id ORDER BY p.id
"""
# Of each gateway the newest job with combinations that has sent something to it or to
# one of its children.
_TOUCHED = """
    SELECT DISTINCT ON (gateway_id) gateway_id, job_id FROM (
        SELECT coalesce(d.gateway_id, d.id) AS gateway_id, t.job_id
        FROM commands_job j
        JOIN commands_jobtarget t ON t.job_id = j.id AND t.command_id IS NOT NULL
        JOIN registry_device d ON d.id = t.device_id
        WHERE jsonb_typeof(j.rollout -> 'combinations') = 'array'
    ) every ORDER BY gateway_id, job_id DESC
"""
_NOT_ALLOWED = """NOT j.rollout -> 'combinations' @> jsonb_build_array(
    jsonb_build_object('gateway', coalesce(gt.firmware, ''),
        'children', coalesce(ct.firmware, '')))"""
# A system is at rest when no update of it is open and its job sends it nothing more.
_MIXED = f"""
    WITH touched AS ({_TOUCHED}
    ), open_entry AS (
        SELECT object_id FROM state_attentionentry
        WHERE kind = '{AttentionKind.MIXED.value}' AND over_at IS NULL
    )
    SELECT g.tenant_id, g.id, g.public_id, j.public_id,
        coalesce(max(gt.firmware), ''), array_agg(c.uid ORDER BY c.uid),
        array_agg(coalesce(ct.firmware, '') ORDER BY c.uid),
        (SELECT count(*) FROM state_attentionentry e WHERE e.object_id = g.public_id
            AND e.kind = '{AttentionKind.MIXED.value}')
    FROM touched x
    JOIN commands_job j ON j.id = x.job_id
    JOIN registry_device g ON g.id = x.gateway_id
    JOIN registry_device c ON c.gateway_id = g.id AND {_IN_SERVICE}
    LEFT JOIN state_twin gt ON gt.device_id = g.id
    LEFT JOIN state_twin ct ON ct.device_id = c.id
    WHERE g.public_id NOT IN (SELECT object_id FROM open_entry)
    GROUP BY g.id, j.id
    HAVING bool_or({_NOT_ALLOWED})
        AND NOT EXISTS (
            SELECT FROM registry_device d
            JOIN commands_command o ON o.device_id = d.id AND o.ended_at IS NULL
            WHERE (d.id = g.id OR d.gateway_id = g.id) AND o.name = j.command_name)
        AND (j.status <> '{JobStatus.RUNNING.value}' OR NOT EXISTS (
            SELECT FROM registry_device d
            JOIN commands_jobtarget o ON o.device_id = d.id AND o.job_id = j.id
            WHERE (d.id = g.id OR d.gateway_id = g.id)
                AND o.command_id IS NULL AND o.skip_reason = ''))
    ORDER BY g.id LIMIT %s
"""
# Open entries whose system is in an allowed combination again, or is none any more.
_WHOLE = f"""
    WITH touched AS ({_TOUCHED})
    SELECT e.object_id FROM state_attentionentry e
    WHERE e.kind = '{AttentionKind.MIXED.value}' AND e.over_at IS NULL
        AND NOT EXISTS (
            SELECT FROM registry_device g
            JOIN registry_device c ON c.gateway_id = g.id AND {_IN_SERVICE}
            JOIN touched x ON x.gateway_id = g.id
            JOIN commands_job j ON j.id = x.job_id
            LEFT JOIN state_twin gt ON gt.device_id = g.id
            LEFT JOIN state_twin ct ON ct.device_id = c.id
            WHERE g.public_id = e.object_id
                AND {_NOT_ALLOWED})
    ORDER BY e.id LIMIT %s
"""


class Blocked(NamedTuple):
    """A member that must not get its command now; it waits, or is left out."""

    target_id: int
    combination: str
    waits: bool


@dataclass(frozen=True, slots=True)
class MixedSystem:
    """A gateway that came to rest beside its children in no allowed combination."""

    tenant_id: int
    gateway_id: int
    gateway_public_id: UUID
    job_public_id: UUID
    firmware: str
    children: tuple[tuple[str, str], ...]  # uid, firmware
    earlier: int  # entries of this gateway before

    @property
    def reason(self) -> str:
        named = [f"{uid} {text or 'none'}" for uid, text in self.children[:MOST_NAMED]]
        if more := len(self.children) - MOST_NAMED:
            named += [f"{more} more"] if more > 0 else []
        return (
            f"mixed: it reports {self.firmware or 'none'}, its children"
            f" {', '.join(named)}; that is no allowed combination"
        )


def judge_systems(
    device_ids: Collection[int], version: str, allowed: Allowed
) -> tuple[dict[int, dict[int, Turn]], dict[int, str]]:
    """Return the turns of the children by gateway, and why members are left out.

    A system is updated as a whole or not at all.
    """
    turns: dict[int, dict[int, Turn]] = defaultdict(dict)
    left_out: dict[int, str] = {}
    for gateway, child, *facts in bulk_sql.fetch(_PAIRS, [list(device_ids)]):
        pair = Pair(*facts)
        turns[gateway][child] = turn = turn_of(pair, version, allowed)
        if turn == Turn.NEVER and gateway not in left_out:
            left_out[gateway] = (
                f"no allowed combination leads to {version} from its system's"
                f" {pair.gateway or 'none'} with {pair.child or 'none'}"
            )
    reasons: dict[int, str] = {}
    for gateway, reason in left_out.items():
        reasons |= dict.fromkeys([gateway, *turns[gateway]], reason[:200])
    return turns, reasons


def list_blocked(job: Job, wave: int, allowed: Allowed) -> list[Blocked]:
    """Return the members of a wave that must not be updated now."""
    version = str(job.params["version"])
    pairs = sorted(allowed)
    values = [[g for g, _ in pairs], [c for _, c in pairs], job.pk, wave]
    found = bulk_sql.fetch(_BLOCKED, [*values, version, version, job.pk])
    return [Blocked(*row) for row in found]


def list_mixed_across_tenants(*, limit: int) -> list[MixedSystem]:
    """Return systems that have come to rest mixed and are no work item yet."""
    found = []
    for *facts, uids, versions, earlier in bulk_sql.fetch(_MIXED, [limit]):
        children = tuple(zip(uids, versions, strict=True))
        values: list[Any] = [*facts, children, earlier]
        found.append(MixedSystem(*values))
    return found


def list_whole_again_across_tenants(*, limit: int) -> list[UUID]:
    """Return the gateways whose open work item is over."""
    return [pk for (pk,) in bulk_sql.fetch(_WHOLE, [limit])]
