"""Counting who is in trouble, by the traits that devices share: one query a tenant."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING, Any

from django.core.cache import cache
from django.db import connection
from redis.exceptions import RedisError

from registry.selectors.access import sql_within
from state.choices import Trouble

if TYPE_CHECKING:
    from registry.models import Tenant

# A device counts as lost while it is, and for so long after an abnormal disconnect.
WINDOW = timedelta(hours=1)
COMMANDS_WINDOW = timedelta(hours=24)  # commands are rarer than heartbeats
LEAST_FAILED = 2  # one failed command says little
LEAST_DISCONNECTS = 3  # in 72 hours, to come and go
# Of the time, at most this share is spent on counting: a fleet that takes long to count
# is counted less often, and a small one each time.
COUNTING_SHARE = 20
LONGEST_KEPT_SECONDS = 60
# Of so many, a trouble of half a percent is seen at a hundred devices; counting them
# takes a fraction of a second, however large the fleet.
MOST_COUNTED = 20_000
TRAITS = ("gateway", "site", "adapter", "firmware", "model")
FLEET = ("fleet", "")

# The same conditions as of one device, see selectors.diagnosis.
TROUBLED = {
    Trouble.GARBLED: "f.cause = 'invalid_messages'",
    Trouble.SILENT: """(
        f.connectivity IN ('offline', 'suspect') AND f.cause <> 'goodbye'
        OR f.cause = 'gateway_offline' OR f.was_lost)""",
    Trouble.COMMANDS: "f.commands_fail",
    Trouble.ALARM: "f.has_alarm",
    Trouble.FLAPPING: "f.disconnects_72h >= %(disconnects)s",
}
_COUNTS = ", ".join(f"count(*) FILTER (WHERE {held})" for held in TROUBLED.values())
# Of a whole tenant by the index of hashes, else by what the limit reaches.
_SAMPLE = """
    SELECT p.device_id AS id FROM state_presence p
    WHERE p.tenant_id = %(tenant)s AND p.cause <> 'never_connected'
    ORDER BY hashint8(p.device_id) LIMIT %(most)s
"""
_SAMPLE_IN_REACH = """
    SELECT d.id FROM registry_device d JOIN state_presence p ON p.device_id = d.id
    WHERE {reached} AND p.cause <> 'never_connected'
    ORDER BY hashint8(d.id) LIMIT %(most)s
"""
_NEAR = """
    SELECT d.id FROM registry_device d WHERE d.{trait}_id = %({trait})s
    ORDER BY hashint8(d.id) LIMIT %(most)s
"""
_GIVEN = "SELECT unnest(%(ids)s::bigint[]) AS id"
# Never heard is no evidence, and what is out of service is none either.
_COUNT = f"""
    WITH sampled AS MATERIALIZED ({{sample}}), facts AS MATERIALIZED (
        SELECT d.gateway_id, d.site_id, d.adapter, tw.firmware, d.product_id,
            p.connectivity, p.cause, p.disconnects_72h,
            c.failed >= %(failed)s AND c.last_failed_at > %(failed_since)s
                AS commands_fail,
            EXISTS (SELECT FROM state_alarm a WHERE a.device_id = d.id
                AND a.severity = 'critical' AND a.state <> 'cleared') AS has_alarm,
            EXISTS (SELECT FROM state_connectivitytransition l
                WHERE l.device_id = d.id AND l.is_abnormal AND l.at > %(lost_since)s
                AND l.tenant_id = d.tenant_id) AS was_lost
        FROM (SELECT id FROM sampled UNION {{near}}) population
        JOIN registry_device d ON d.id = population.id
        JOIN state_presence p ON p.device_id = d.id
        LEFT JOIN state_twin tw ON tw.device_id = d.id
        LEFT JOIN state_commandtally c ON c.device_id = d.id
        WHERE {{reached}} AND d.lifecycle NOT IN ('retired', 'replaced')
            AND p.cause <> 'never_connected'
    )
    SELECT grouping(f.gateway_id, f.site_id, f.adapter, f.firmware, f.product_id),
        f.gateway_id::text, f.site_id::text, f.adapter, f.firmware,
        f.product_id::text, count(*), {_COUNTS}, (SELECT count(*) FROM sampled)
    FROM facts f
    GROUP BY GROUPING SETS (
        (f.gateway_id), (f.site_id), (f.adapter), (f.firmware), (f.product_id), ())
"""
# grouping() has a bit for each column that is not grouped by, the first the highest.
_ALL_BITS = 2 ** len(TRAITS) - 1
_TRAIT_OF = {
    _ALL_BITS - 2 ** (len(TRAITS) - 1 - place): place for place in range(len(TRAITS))
}


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are, and how many of them are in which trouble."""

    total: int = 0
    troubled: dict[str, int] = field(default_factory=dict)

    def of(self, trouble: str) -> int:
        """Return how many are in this trouble."""
        return self.troubled.get(trouble, 0)


Counts = dict[tuple[str, str], Count]  # (trait, value) → count; FLEET → all


def count_peers(
    tenant: Tenant,
    *,
    gateway: str | None = None,
    site: str | None = None,
    now: datetime,
) -> Counts:
    """Return the counts of a tenant's devices, as far as the caller reaches.

    Of a fleet beyond MOST_COUNTED a random sample, the same each time, and beside it
    who is on this gateway and site: they are few, and their share is the question.
    What takes long to count is kept for a while.
    """
    whole = f"state-peers-{tenant.pk}-{_limit_of(tenant)}"
    near = f"{whole}-{gateway}-{site}"
    try:
        kept: dict[str, Counts] = cache.get_many([whole, near])
    except RedisError:
        kept = {}
    if (known := kept.get(whole, kept.get(near))) is not None:
        return known
    started = perf_counter()
    values = {"gateway": gateway, "site": site}
    traits = [trait for trait, value in values.items() if value]
    found, sampled = _count(tenant, now, near=traits, **values)
    keep = int(min(LONGEST_KEPT_SECONDS, COUNTING_SHARE * (perf_counter() - started)))
    if keep:
        try:
            cache.set(whole if sampled < MOST_COUNTED else near, found, timeout=keep)
        except RedisError:
            pass  # the next one counts again
    return found


def count_set(tenant: Tenant, device_ids: Collection[int], *, now: datetime) -> Counts:
    """Return the counts of some of a tenant's devices; of very many a sample."""
    ids = sorted(device_ids)
    if len(ids) > MOST_COUNTED:
        ids = sorted(Random(0).sample(ids, MOST_COUNTED))
    found, _ = _count(tenant, now, ids=ids)
    return found


def _count(
    tenant: Tenant, now: datetime, *, near: Sequence[str] = (), **values: Any
) -> tuple[Counts, int]:
    """Return the counts, and how many devices were taken before those near."""
    reached, parameters = sql_within([tenant], "d")
    names = [f"reach_{number}" for number in range(len(parameters))]
    reached = reached.replace("%s", "{}").format(*(f"%({name})s" for name in names))
    sample = _GIVEN if "ids" in values else _SAMPLE
    if "ids" not in values and tenant.limit is not None:
        sample = _SAMPLE_IN_REACH.format(reached=reached)
    unions = [f"({_NEAR.format(trait=trait)})" for trait in near]
    statement = _COUNT.format(
        sample=sample,
        near=" UNION ".join(unions) or "SELECT id FROM sampled",
        reached=reached,
    )
    params = values | dict(zip(names, parameters, strict=True))
    params |= {
        "tenant": tenant.pk,
        "most": MOST_COUNTED,
        "failed": LEAST_FAILED,
        "failed_since": now - COMMANDS_WINDOW,
        "disconnects": LEAST_DISCONNECTS,
        "lost_since": now - WINDOW,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        rows = cursor.fetchall()
    found: Counts = {}
    sampled = 0
    for bits, *rest in rows:
        values_of, (total, *troubled, sampled) = (
            rest[: len(TRAITS)],
            rest[len(TRAITS) :],
        )
        place = _TRAIT_OF.get(bits)
        key = FLEET if place is None else (TRAITS[place], values_of[place] or "")
        by_trouble = dict(zip(map(str, TROUBLED), troubled, strict=True))
        if key == FLEET or key[1]:  # without a gateway, or of unknown firmware
            found[key] = Count(total, by_trouble)
    return found, sampled


def _limit_of(tenant: Tenant) -> str:
    """Return what tells apart the callers who reach different parts of a tenant."""
    if tenant.limit is None:
        return "all"
    reached = [sorted(tenant.limit.projects), sorted(tenant.limit.sites)]
    return sha256(repr(reached).encode()).hexdigest()[:32]
