"""Count the affected devices of a tenant by shared trait, in one query."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from random import Random
from time import perf_counter
from typing import TYPE_CHECKING, Any

from django.core.cache import cache
from django.db import connection
from redis.exceptions import RedisError

from registry.choices import JUDGED
from registry.selectors.access import sql_within
from state.choices import Trouble

if TYPE_CHECKING:
    from registry.models import Tenant

# A device counts as lost while it is lost, and this long after an abnormal disconnect.
WINDOW = timedelta(hours=1)
COMMANDS_WINDOW = timedelta(hours=24)  # commands are rarer than heartbeats
LEAST_FAILED = 2  # one failed command says little
LEAST_DISCONNECTS = 3  # in 72 hours, for a device that keeps disconnecting
# A count is cached for 20 times as long as it took: at most 5 % of the time goes into
# counting. A large fleet is counted less often, a small one each time.
COUNTING_SHARE = 20
LONGEST_KEPT_SECONDS = 60
# The sample size: a trouble of half a percent then shows at a hundred devices, and
# counting takes a fraction of a second, however large the fleet.
MOST_COUNTED = 20_000
# Trait → its column among the facts.
COLUMNS = {
    "gateway": "gateway_id",
    "site": "site_id",
    "adapter": "adapter",
    "firmware": "firmware",
    "model": "product_id",
    "revision": "hardware_revision_id",
    "batch": "batch_id",
}
TRAITS = tuple(COLUMNS)
VALUES = ", ".join(f"f.{column}::text" for column in COLUMNS.values())
FLEET = ("fleet", "")

# The same conditions as selectors.diagnosis has for one device.
TROUBLED = {
    Trouble.GARBLED: "f.cause = 'invalid_messages'",
    Trouble.SILENT: """(
        f.connectivity IN ('offline', 'suspect') AND f.cause <> 'goodbye'
        OR f.cause = 'gateway_offline' OR f.was_lost)""",
    Trouble.COMMANDS: "f.commands_fail",
    Trouble.ALARM: "f.has_alarm",
    Trouble.FLAPPING: "f.disconnects_72h >= %(disconnects)s",
}
_COUNTS = ", ".join(f"count(*) FILTER (WHERE {check})" for check in TROUBLED.values())
# A whole tenant is sampled by the index of hashes; a limited caller's part is not.
_SAMPLE = """
    SELECT p.device_id AS id FROM state_presence p
    WHERE p.tenant_id = %(tenant)s AND p.cause <> 'never_connected'
    ORDER BY hashint8(p.device_id) LIMIT %(most)s
"""
_SAMPLE_OF_LIMIT = """
    SELECT d.id FROM registry_device d JOIN state_presence p ON p.device_id = d.id
    WHERE {access} AND p.cause <> 'never_connected'
    ORDER BY hashint8(d.id) LIMIT %(most)s
"""
_NEAR = """
    SELECT d.id FROM registry_device d WHERE d.{trait}_id = %({trait})s
    ORDER BY hashint8(d.id) LIMIT %(most)s
"""
_GIVEN = "SELECT unnest(%(ids)s::bigint[]) AS id"
# Devices that were never heard, or are out of service, are no evidence.
FACTS = """
    SELECT d.id, d.tenant_id, d.kind, d.gateway_id, d.site_id, d.adapter, tw.firmware,
        d.product_id, d.hardware_revision_id, d.batch_id,
        p.connectivity, p.cause, p.disconnects_72h,
        c.failed >= %(failed)s AND c.last_failed_at > %(failed_since)s
            AS commands_fail,
        EXISTS (SELECT FROM state_alarm a WHERE a.device_id = d.id
            AND a.severity = 'critical' AND a.state <> 'cleared') AS has_alarm,
        EXISTS (SELECT FROM state_connectivitytransition l
            WHERE l.device_id = d.id AND l.is_abnormal AND l.at > %(lost_since)s
            AND l.tenant_id = d.tenant_id) AS was_lost
    FROM {population} population
    JOIN registry_device d ON d.id = population.id
    JOIN state_presence p ON p.device_id = d.id
    LEFT JOIN state_twin tw ON tw.device_id = d.id
    LEFT JOIN state_commandtally c ON c.device_id = d.id
    WHERE {access} AND d.lifecycle = ANY(%(judged)s) AND p.cause <> 'never_connected'
"""
COUNT_FACTS = f"""
    SELECT grouping({", ".join(f"f.{column}" for column in COLUMNS.values())}),
        f.tenant_id, {VALUES}, count(*), {_COUNTS}, {{sampled}}
    FROM facts f
    GROUP BY f.tenant_id, GROUPING SETS (
        {", ".join(f"(f.{column})" for column in COLUMNS.values())}, ())
"""
_COUNT = f"""
    WITH sampled AS MATERIALIZED ({{sample}}), facts AS MATERIALIZED ({FACTS})
    {COUNT_FACTS}
"""
_POPULATION = "(SELECT id FROM sampled UNION {near})"
# grouping() has a bit for each column that is not grouped by, the first the highest.
_ALL_BITS = 2 ** len(TRAITS) - 1
_TRAIT_OF = {
    _ALL_BITS - 2 ** (len(TRAITS) - 1 - place): place for place in range(len(TRAITS))
}


@dataclass(frozen=True, slots=True)
class Count:
    """How many devices there are, and how many have each trouble."""

    total: int = 0
    troubled: dict[str, int] = field(default_factory=dict)

    def of(self, trouble: str) -> int:
        """Return how many have this trouble."""
        return self.troubled.get(trouble, 0)


Counts = dict[tuple[str, str], Count]  # (trait, value) → count; FLEET → all


def count_peers(
    tenant: Tenant,
    *,
    gateway: str | None = None,
    site: str | None = None,
    now: datetime,
) -> Counts:
    """Return the counts of the tenant's devices that the caller may access.

    A fleet larger than MOST_COUNTED is counted by a random sample, the same each time,
    plus all devices on this gateway and site: these are few, and their share is what
    matters. A slow count is cached for a while.
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
            pass  # the next call counts again
    return found


def count_set(tenant: Tenant, device_ids: Collection[int], *, now: datetime) -> Counts:
    """Return the counts of some of a tenant's devices; a sample if very many."""
    ids = sorted(device_ids)
    if len(ids) > MOST_COUNTED:
        ids = sorted(Random(0).sample(ids, MOST_COUNTED))
    found, _ = _count(tenant, now, ids=ids)
    return found


def _count(
    tenant: Tenant, now: datetime, *, near: Sequence[str] = (), **values: Any
) -> tuple[Counts, int]:
    """Return the counts, and the size of the sample without the devices near."""
    access, parameters = sql_within([tenant], "d")
    names = [f"access_{number}" for number in range(len(parameters))]
    access = access.replace("%s", "{}").format(*(f"%({name})s" for name in names))
    sample = _GIVEN if "ids" in values else _SAMPLE
    if "ids" not in values and tenant.limit is not None:
        sample = _SAMPLE_OF_LIMIT.format(access=access)
    unions = [f"({_NEAR.format(trait=trait)})" for trait in near]
    nearby = " UNION ".join(unions) or "SELECT id FROM sampled"
    statement = _COUNT.format(
        sample=sample,
        population=_POPULATION.format(near=nearby),
        access=access,
        sampled="(SELECT count(*) FROM sampled)",
    )
    params = values | dict(zip(names, parameters, strict=True)) | fact_values(now)
    with connection.cursor() as cursor:
        cursor.execute(statement, params | {"tenant": tenant.pk, "most": MOST_COUNTED})
        rows = cursor.fetchall()
    sampled = int(rows[0][-1]) if rows else 0
    return read_counts(rows).get(tenant.pk, {}), sampled


def fact_values(now: datetime) -> dict[str, Any]:
    """Return the parameters of FACTS."""
    return {
        "failed": LEAST_FAILED,
        "failed_since": now - COMMANDS_WINDOW,
        "disconnects": LEAST_DISCONNECTS,
        "lost_since": now - WINDOW,
        "judged": [str(lifecycle.value) for lifecycle in JUDGED],
    }


def read_counts(rows: Iterable[Sequence[Any]]) -> dict[int, Counts]:
    """Return the counts of each tenant from the rows of COUNT_FACTS."""
    found: dict[int, Counts] = {}
    for bits, tenant_id, *rest in rows:
        values_of, total = rest[: len(TRAITS)], rest[len(TRAITS)]
        troubled = rest[len(TRAITS) + 1 :][: len(TROUBLED)]
        place = _TRAIT_OF.get(bits)
        key = FLEET if place is None else (TRAITS[place], values_of[place] or "")
        if key == FLEET or key[1]:  # skip "no gateway" and "unknown firmware"
            by_trouble = dict(zip(map(str, TROUBLED), troubled, strict=True))
            found.setdefault(tenant_id, {})[key] = Count(total, by_trouble)
    return found


def _limit_of(tenant: Tenant) -> str:
    """Return a cache key part: callers with the same member limit share it."""
    if tenant.limit is None:
        return "all"
    allowed = [sorted(tenant.limit.projects), sorted(tenant.limit.sites)]
    return sha256(repr(allowed).encode()).hexdigest()[:32]
