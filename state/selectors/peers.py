"""Counting who is in trouble, by the traits that devices share: one query a tenant."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import perf_counter

from django.core.cache import cache
from django.db import connection
from redis.exceptions import RedisError

from state.lifecycle import Trouble

# A device counts as lost while it is, and for so long after an abnormal disconnect.
WINDOW = timedelta(hours=1)
COMMANDS_WINDOW = timedelta(hours=24)  # commands are rarer than heartbeats
LEAST_FAILED = 2  # one failed command says little
LEAST_DISCONNECTS = 3  # in 72 hours, to come and go
# Of the time, at most this share is spent on counting: a fleet that takes long to count
# is counted less often, and a small one each time.
COUNTING_SHARE = 20
LONGEST_KEPT_SECONDS = 60
TRAITS = ("gateway", "site", "adapter", "firmware", "model")
FLEET = ("fleet", "")

# The same conditions as of one device, see selectors.diagnosis.
TROUBLED = {
    Trouble.GARBLED: "p.cause = 'invalid_messages'",
    Trouble.SILENT: """(
        p.connectivity IN ('offline', 'suspect') AND p.cause <> 'goodbye'
        OR p.cause = 'gateway_offline' OR l.device_id IS NOT NULL)""",
    Trouble.COMMANDS: "c.failed >= %(failed)s AND c.last_failed_at > %(failed_since)s",
    Trouble.ALARM: "a.device_id IS NOT NULL",
    Trouble.FLAPPING: "p.disconnects_72h >= %(disconnects)s",
}
_COUNTS = ", ".join(f"count(*) FILTER (WHERE {held})" for held in TROUBLED.values())
# Never heard is no evidence, and what is out of service is none either.
COUNT = f"""
    SELECT grouping(d.gateway_id, d.site_id, d.adapter, tw.firmware, d.product_id),
        d.gateway_id::text, d.site_id::text, d.adapter, tw.firmware,
        d.product_id::text, count(*), {_COUNTS}
    FROM registry_device d
    JOIN state_presence p ON p.device_id = d.id
    LEFT JOIN state_twin tw ON tw.device_id = d.id
    LEFT JOIN state_commandtally c ON c.device_id = d.id
    LEFT JOIN (
        SELECT DISTINCT device_id FROM state_alarm
        WHERE tenant_id = %(tenant)s AND severity = 'critical' AND state <> 'cleared'
    ) a ON a.device_id = d.id
    LEFT JOIN (
        SELECT DISTINCT device_id FROM state_connectivitytransition
        WHERE tenant_id = %(tenant)s AND is_abnormal AND at > %(lost_since)s
    ) l ON l.device_id = d.id
    WHERE d.tenant_id = %(tenant)s AND d.lifecycle NOT IN ('retired', 'replaced')
        AND p.cause <> 'never_connected' {{narrowed}}
    GROUP BY GROUPING SETS (
        (d.gateway_id), (d.site_id), (d.adapter), (tw.firmware), (d.product_id), ())
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


def count_tenant(tenant_id: int, *, now: datetime) -> Counts:
    """Return the counts of a tenant's devices; of a big fleet up to a minute old."""
    key = f"state-peers-{tenant_id}"
    try:
        kept: Counts | None = cache.get(key)
    except RedisError:
        kept = None
    if kept is not None:
        return kept
    started = perf_counter()
    found = _count(tenant_id, None, now)
    keep = int(min(LONGEST_KEPT_SECONDS, COUNTING_SHARE * (perf_counter() - started)))
    if keep:
        try:
            cache.set(key, found, timeout=keep)
        except RedisError:
            pass  # the next one counts again
    return found


def count_set(tenant_id: int, device_ids: Collection[int], *, now: datetime) -> Counts:
    """Return the counts of some of a tenant's devices, of any number."""
    return _count(tenant_id, device_ids, now)


def _count(tenant_id: int, ids: Collection[int] | None, now: datetime) -> Counts:
    params = {
        "tenant": tenant_id,
        "ids": None if ids is None else sorted(ids),
        "failed": LEAST_FAILED,
        "failed_since": now - COMMANDS_WINDOW,
        "disconnects": LEAST_DISCONNECTS,
        "lost_since": now - WINDOW,
    }
    narrowed = "" if ids is None else "AND d.id = ANY(%(ids)s)"
    with connection.cursor() as cursor:
        cursor.execute(COUNT.format(narrowed=narrowed), params)
        rows = cursor.fetchall()
    found: Counts = {}
    for bits, *rest in rows:
        values, (total, *troubled) = rest[: len(TRAITS)], rest[len(TRAITS) :]
        place = _TRAIT_OF.get(bits)
        key = FLEET if place is None else (TRAITS[place], values[place] or "")
        by_trouble = dict(zip(map(str, TROUBLED), troubled, strict=True))
        if key == FLEET or key[1]:  # without a gateway, or of unknown firmware
            found[key] = Count(total, by_trouble)
    return found
