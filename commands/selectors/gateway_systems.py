"""Reads of gateways and their children, judged as one system by reported firmware.

Children that are retired or replaced belong to no system.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

from django.db.models.expressions import RawSQL

from commands.choices import JobStatus, WaveStatus
from commands.judgment.combinations import Allowed, Pair, Turn, turn_of
from commands.lifecycle import OPEN
from commands.models import Job
from iotplatform.common import bulk_sql
from registry.choices import Lifecycle
from state.choices import AttentionKind

MOST_NAMED = 10  # children in the text of one work item
_OPEN = sorted(str(status) for status in OPEN)

_IN_SERVICE = f"""c.lifecycle NOT IN
    ('{Lifecycle.RETIRED.value}', '{Lifecycle.REPLACED.value}')"""
_PAIRS = f"""
    SELECT c.gateway_id, c.id, coalesce(gt.firmware, ''), coalesce(ct.firmware, '')
    FROM (SELECT %s::bigint[] AS ids) m
    JOIN registry_device c ON c.id = ANY(m.ids) OR c.gateway_id = ANY(m.ids)
    LEFT JOIN state_twin gt ON gt.device_id = c.gateway_id
    LEFT JOIN state_twin ct ON ct.device_id = c.id
    WHERE c.gateway_id IS NOT NULL AND {_IN_SERVICE}
    ORDER BY 1, 2
"""
# What a member gets: its own version in a rollback, else its job's.
_VERSION = "coalesce(v.params ->> 'version', j.params ->> 'version')"


def _not_allowed(gateway: LiteralString, child: LiteralString) -> LiteralString:
    return f"""NOT rollout -> 'combinations' @> jsonb_build_array(
        jsonb_build_object('gateway', {gateway}, 'children', {child}))"""


# Members of released waves that must not get their version while the other half of
# their system has an open command. These are few, the members may be a fleet.
_WAITING = f"""
    WITH open_half AS MATERIALIZED (
        SELECT x.job_id, d.id, d.uid, d.gateway_id, d.lifecycle,
            coalesce(t.firmware, '') AS firmware
        FROM commands_command x
        JOIN registry_device d ON d.id = x.device_id
        LEFT JOIN state_twin t ON t.device_id = d.id
        WHERE x.job_id = ANY(%s::bigint[]) AND x.status = ANY(%s::text[])
            AND x.ended_at IS NULL
    ), pair AS (
        SELECT o.job_id, o.uid AS other, c.id AS device_id, false AS is_gateway,
            o.firmware AS gateway, NULL AS child
        FROM open_half o JOIN registry_device c ON c.gateway_id = o.id
        UNION ALL
        SELECT c.job_id, c.uid, c.gateway_id, true, NULL, c.firmware
        FROM open_half c WHERE c.gateway_id IS NOT NULL AND {_IN_SERVICE}
    )
    SELECT t.id, t.job_id, p.is_gateway, p.other
    FROM pair p
    JOIN commands_job j ON j.id = p.job_id
    JOIN commands_jobtarget t ON t.job_id = j.id AND t.device_id = p.device_id
        AND t.command_id IS NULL AND t.skip_reason = ''
    JOIN commands_jobwave w ON w.job_id = j.id AND w.number = t.wave
        AND w.status = '{WaveStatus.RELEASED.value}'
    LEFT JOIN commands_membervalues v ON v.target_id = t.id
    WHERE {
    _not_allowed(f"coalesce(p.gateway, {_VERSION})", f"coalesce(p.child, {_VERSION})")
}
"""
_WAITING_IDS = f"SELECT m.id FROM ({_WAITING}) m"
_WAITING_COUNTS = f"""
    SELECT m.job_id, m.is_gateway, count(DISTINCT m.id), min(m.other)
    FROM ({_WAITING}) m GROUP BY 1, 2 ORDER BY 1, 2
"""
# Of some members, those whose version would lead out of the allowed combinations now.
_BLOCKED = f"""
    WITH member AS MATERIALIZED (
        SELECT t.id, t.device_id, j.rollout, {_VERSION} AS version
        FROM commands_jobtarget t
        JOIN commands_job j ON j.id = t.job_id
        LEFT JOIN commands_membervalues v ON v.target_id = t.id
        WHERE t.id = ANY(%s::bigint[])
    ), pair AS (
        SELECT m.id, m.rollout, m.version AS gateway, coalesce(t.firmware, '') AS child
        FROM member m JOIN registry_device c ON c.gateway_id = m.device_id
        LEFT JOIN state_twin t ON t.device_id = c.id
        WHERE {_IN_SERVICE}
        UNION ALL
        SELECT m.id, m.rollout, coalesce(t.firmware, ''), m.version
        FROM member m JOIN registry_device c ON c.id = m.device_id
        LEFT JOIN state_twin t ON t.device_id = c.gateway_id
        WHERE c.gateway_id IS NOT NULL
    )
    SELECT id, min(gateway || ' with ' || child) FROM pair
    WHERE {_not_allowed("gateway", "child")} GROUP BY id
"""
# The words of the index commands_job_combinations.
_HAS_COMBINATIONS = """j.rollout @> '{"combinations": [{}]}'"""
# Of each gateway the newest job with combinations that has sent something to it or to
# one of its children.
_TOUCHED = f"""
    SELECT DISTINCT ON (gateway_id) gateway_id, job_id FROM (
        SELECT coalesce(d.gateway_id, d.id) AS gateway_id, t.job_id
        FROM commands_job j
        JOIN commands_jobtarget t ON t.job_id = j.id AND t.command_id IS NOT NULL
        JOIN registry_device d ON d.id = t.device_id
        WHERE {_HAS_COMBINATIONS}
    ) every ORDER BY gateway_id, job_id DESC
"""
_IS_MIXED = _not_allowed("coalesce(gt.firmware, '')", "coalesce(ct.firmware, '')")
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
    HAVING bool_or({_IS_MIXED})
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
                AND {_IS_MIXED})
    ORDER BY e.id LIMIT %s
"""


class Waiting(NamedTuple):
    """Gateways, or children, of a job that wait for the other half of their system."""

    job_id: int
    is_gateway: bool
    members: int
    other: str  # the uid of one that is waited for


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
    versions: Mapping[int, str], allowed: Allowed
) -> tuple[dict[int, dict[int, Turn]], dict[int, str]]:
    """Return the turns of the children by gateway, and why members are left out.

    ``versions`` are what the members get, by device. A system is updated as a whole or
    not at all.
    """
    turns: dict[int, dict[int, Turn]] = defaultdict(dict)
    left_out: dict[int, str] = {}
    for gateway, child, above, below in bulk_sql.fetch(_PAIRS, [list(versions)]):
        pair = Pair(above, below, versions.get(gateway), versions.get(child))
        turns[gateway][child] = turn = turn_of(pair, allowed)
        if turn == Turn.NEVER and gateway not in left_out:
            version = pair.gateway_next or pair.child_next
            left_out[gateway] = (
                f"no allowed combination leads to {version} from its system's"
                f" {pair.gateway or 'none'} with {pair.child or 'none'}"
            )
    reasons: dict[int, str] = {}
    for gateway, reason in left_out.items():
        reasons |= dict.fromkeys([gateway, *turns[gateway]], reason[:200])
    return turns, reasons


def waiting_members(job: Job) -> RawSQL:
    """Return the members that wait for the other half, to be left out of a query."""
    return RawSQL(_WAITING_IDS, [[job.pk], _OPEN])


def count_waiting(job_ids: Collection[int]) -> list[Waiting]:
    """Return how many members of released waves wait for the other half, by job."""
    found = bulk_sql.fetch(_WAITING_COUNTS, [list(job_ids), _OPEN])
    return [Waiting(*row) for row in found]


def find_blocked(target_ids: Collection[int]) -> dict[int, str]:
    """Return the combination, not allowed, that an update of these members would make.

    Members whose update is allowed are left out.
    """
    return dict(bulk_sql.fetch(_BLOCKED, [list(target_ids)]))


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
