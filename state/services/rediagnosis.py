"""Keep what is found about troubled devices, so that a verdict does not flip.

A page reads the last finding and judges in its favour; it writes nothing. Feedback and
blindness are facts without limits that a verdict could hover at, so they are left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from time import perf_counter

from django.core.cache import cache
from django.db import transaction
from redis.exceptions import RedisError

from iotplatform.common import bulk_sql
from state.judgment.diagnosis import diagnose
from state.judgment.diagnosis_evidence import Finding, PathFigures
from state.models import LastFinding
from state.selectors.peer_evidence import count_evidence, path_figures
from state.selectors.peers import COUNTING_SHARE, Counts
from state.selectors.troubled import (
    TroubledDevice,
    count_all_across_tenants,
    list_troubled_across_tenants,
)

BATCH = 10_000  # rows a statement: an outage of a region is a few statements
RESTING = "state-rediagnosis-rests"

_DROP = """
    DELETE FROM state_lastfinding WHERE device_id IN (
        SELECT device_id FROM state_lastfinding f
        WHERE NOT EXISTS (SELECT FROM unnest(%s::bigint[]) k WHERE k = f.device_id)
        ORDER BY device_id FOR UPDATE
    )
"""
_COLUMNS = ("device_id", "tenant_id", "trouble", "verdict", "trait", "at")
_WRITE = f"""
    {bulk_sql.insert_rows(LastFinding, *_COLUMNS)}
    WHERE EXISTS (SELECT FROM registry_device d WHERE d.id = v.device_id)
    ON CONFLICT (device_id) DO UPDATE SET tenant_id = excluded.tenant_id,
        trouble = excluded.trouble, verdict = excluded.verdict,
        trait = excluded.trait, at = excluded.at
"""


def rediagnose_across_tenants(*, now: datetime) -> int:
    """Store what is found about each troubled device; return how many changed.

    A device that is well again, or out of service, has no finding. Rests after a long
    count, for many times as long as it took.
    """
    if _rests():
        return 0
    started = perf_counter()
    troubled = list(list_troubled_across_tenants(now=now))
    counts = count_all_across_tenants(now=now) if troubled else {}
    finder = _Finder(counts, path_figures())
    found = [(device, finder.find(device)) for device in troubled]
    changed = [
        (device.device_id, device.tenant_id, str(device.trouble), *result, now)
        for device, result in found
        if result is not None and result != device.last
    ]
    kept = [device.device_id for device, result in found if result is not None]
    with transaction.atomic():
        bulk_sql.run(_DROP, [kept])
        for begin in range(0, len(changed), BATCH):
            rows = changed[begin : begin + BATCH]
            bulk_sql.run(_WRITE, bulk_sql.columns_of(rows, len(_COLUMNS)))
    _rest(COUNTING_SHARE * (perf_counter() - started))
    return len(changed)


@dataclass
class _Finder:
    """Finds the fault by the counts; devices with equal evidence are judged once."""

    counts: dict[int, Counts]
    paths: dict[str, PathFigures]

    def __post_init__(self) -> None:
        self.known: dict[TroubledDevice, Finding | None] = {}

    def find(self, device: TroubledDevice) -> Finding | None:
        # A gateway's children are left out of its evidence, so it is judged alone.
        alike = device if device.is_gateway else replace(device, device_id=0)
        if alike not in self.known:
            self.known[alike] = self._judge(device)
        return self.known[alike]

    def _judge(self, device: TroubledDevice) -> Finding | None:
        evidence = count_evidence(
            device.trouble,
            {trait: (key, key) for trait, key in device.traits},
            self.counts.get(device.tenant_id, {}),
            gateway=device.device_id if device.is_gateway else None,
            gateway_is_away=device.gateway_is_away,
            path=self.paths.get(dict(device.traits)["adapter"]),
        )
        found = diagnose(evidence, device.last)
        return found.finding if found else None


def _rests() -> bool:
    try:
        return bool(cache.get(RESTING))
    except RedisError:
        return False


def _rest(seconds: float) -> None:
    try:
        if seconds >= 1:
            cache.set(RESTING, True, timeout=int(seconds))
    except RedisError:
        pass  # the next run counts again
