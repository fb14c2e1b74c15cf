"""Judge the risk of marked devices again, and where time alone may have changed it.

Each batch takes a handful of statements, never the whole fleet. The risk rows are
locked in key order before the facts are read: of two workers with the same device the
later one has the newer facts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

import msgspec
from django.db import transaction

from iotplatform.common import bulk_sql
from registry.choices import Lifecycle
from state.choices import Connectivity
from state.judgment.risk import Assessment, RiskFacts, assess
from state.models import Risk

BATCH = 2_000  # devices per transaction: some 100 ms, and marks seldom wait longer

_CLAIM = """
    DELETE FROM state_riskmark WHERE id IN (
        SELECT id FROM state_riskmark ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
    ) RETURNING device_id
"""
_DUE = """
    SELECT device_id FROM state_risk WHERE next_change_at <= %s
    ORDER BY next_change_at LIMIT %s
"""
_LOCK = """
    SELECT device_id, score, reasons::text, next_change_at FROM state_risk
    WHERE device_id = ANY(%s) ORDER BY device_id FOR UPDATE
"""
_CREATE = """
    INSERT INTO state_risk (device_id, tenant_id, score, reasons, at)
    SELECT d.id, d.tenant_id, 0, '[]', %s FROM registry_device d
    WHERE d.id = ANY(%s) AND d.lifecycle <> ALL(%s) ORDER BY d.id
    ON CONFLICT (device_id) DO NOTHING
"""
_DROP = "DELETE FROM state_risk WHERE device_id = ANY(%s)"
_FACTS = """
    SELECT d.id, d.lifecycle, p.connectivity, p.cause, p.since, p.disconnects_72h,
        tw.delta <> '{}', tw.desired_at, (ts.indexed ->> 'battery')::float8,
        c.ended, c.failed, a.info, a.warning, a.critical
    FROM registry_device d
    LEFT JOIN state_presence p ON p.device_id = d.id
    LEFT JOIN state_twin tw ON tw.device_id = d.id
    LEFT JOIN state_telemetrysummary ts ON ts.device_id = d.id
    LEFT JOIN state_commandtally c ON c.device_id = d.id
    LEFT JOIN LATERAL (
        SELECT count(*) FILTER (WHERE severity = 'info') AS info,
            count(*) FILTER (WHERE severity = 'warning') AS warning,
            count(*) FILTER (WHERE severity = 'critical') AS critical
        FROM state_alarm WHERE device_id = d.id AND state <> 'cleared'
    ) a ON true
    WHERE d.id = ANY(%s)
"""
_WRITE = f"""
    UPDATE state_risk AS r SET score = v.score, reasons = v.reasons,
        next_change_at = v.next_change_at,
        at = CASE WHEN r.score = v.score AND r.reasons = v.reasons THEN r.at ELSE %s END
    FROM {bulk_sql.unnest(Risk, "device_id", "score", "reasons", "next_change_at")}
    WHERE r.device_id = v.device_id
"""

OUT_OF_SERVICE = (str(Lifecycle.RETIRED.value), str(Lifecycle.REPLACED.value))
Stored = tuple[int, Any, datetime | None]


@transaction.atomic
def rescore_across_tenants(*, now: datetime, limit: int = BATCH) -> int:
    """Judge up to ``limit`` marked devices and as many due ones; return how many."""
    claimed = [row[0] for row in bulk_sql.fetch(_CLAIM, [limit])]
    due = [row[0] for row in bulk_sql.fetch(_DUE, [now, limit])]
    rescore_devices({*claimed, *due}, now=now)
    return max(len(claimed), len(due))


def rescore_devices(device_ids: Collection[int], *, now: datetime) -> None:
    """Judge the risk of these devices, and write only changes."""
    if not device_ids:
        return
    stored = _lock_or_create(device_ids, now)
    found, gone = {}, []
    for device_id, lifecycle, facts in _facts(device_ids):
        if lifecycle in OUT_OF_SERVICE:
            gone.append(device_id)
        elif device_id in stored:
            found[device_id] = assess(facts, now=now)
    if gone:
        bulk_sql.run(_DROP, [gone])
    rows = [
        (device_id, *_values(found[device_id]))
        for device_id in sorted(found)
        if _values(found[device_id], encode=False) != stored[device_id]
    ]
    if rows:
        bulk_sql.run(_WRITE, [now, *bulk_sql.columns_of(rows, 4)])


def _values(judged: Assessment, *, encode: bool = True) -> tuple[Any, ...]:
    reasons: Any = [asdict(reason) for reason in judged.reasons]
    if encode:
        reasons = msgspec.json.encode(reasons).decode()
    return judged.score, reasons, judged.next_change_at


def _lock_or_create(device_ids: Collection[int], now: datetime) -> dict[int, Stored]:
    found = bulk_sql.lock_or_create(
        _LOCK, _CREATE, device_ids, before=[now], after=[list(OUT_OF_SERVICE)]
    )
    return {
        device_id: (score, msgspec.json.decode(reasons), next_change_at)
        for device_id, score, reasons, next_change_at in found
    }


def _facts(device_ids: Collection[int]) -> Iterator[tuple[int, str, RiskFacts]]:
    for row in bulk_sql.fetch(_FACTS, [sorted(device_ids)]):
        device_id, lifecycle, connectivity, cause, since, disconnects = row[:6]
        has_drift, desired_at, battery, ended, failed = row[6:11]
        info, warning, critical = row[11:]
        facts = RiskFacts(
            connectivity=connectivity or Connectivity.OFFLINE,
            cause="never_connected" if connectivity is None else cause,
            since=since,
            disconnects_72h=disconnects or 0,
            has_drift=bool(has_drift),
            desired_at=desired_at,
            commands_ended=ended or 0,
            commands_failed=failed or 0,
            alarms_info=info,
            alarms_warning=warning,
            alarms_critical=critical,
            battery=battery,
        )
        yield device_id, lifecycle, facts
