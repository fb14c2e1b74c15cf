"""Every troubled device with the counts of its peers: two statements for all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db import connection

from registry.choices import DeviceKind
from state.choices import Trouble, Verdict
from state.judgment.diagnosis_evidence import Finding
from state.selectors.peers import (
    COUNT_FACTS,
    FACTS,
    TRAITS,
    TROUBLED,
    VALUES,
    Counts,
    fact_values,
    read_counts,
)

# A device's own trouble is that of now; for its peers a recent one counts as well.
_OWN = TROUBLED | {
    Trouble.SILENT: """(f.connectivity IN ('offline', 'suspect')
        AND f.cause <> 'goodbye' OR f.cause = 'gateway_offline')"""
}
_CASES = " ".join(f"WHEN {check} THEN '{kind.value}'" for kind, check in _OWN.items())
_ALL = FACTS.format(
    population="(SELECT device_id AS id FROM state_presence)", access="true"
)
_COUNT_ALL = f"WITH facts AS MATERIALIZED ({_ALL}) {COUNT_FACTS}".format(sampled="0")
_TROUBLED = f"""
    SELECT f.id, f.tenant_id, f.kind, f.trouble, f.cause = 'gateway_offline',
        {VALUES}, l.verdict, l.trait
    FROM (
        SELECT f.*, CASE WHEN f.cause = 'platform_blind' THEN NULL {_CASES} END
            AS trouble
        FROM ({_ALL}) f
    ) f
    LEFT JOIN state_lastfinding l ON l.device_id = f.id AND l.trouble = f.trouble
        AND l.tenant_id = f.tenant_id
    WHERE f.trouble IS NOT NULL ORDER BY f.id
"""


@dataclass(frozen=True, slots=True)
class TroubledDevice:
    """A device with a trouble of its own, and what was last found about it."""

    device_id: int
    tenant_id: int
    trouble: Trouble
    traits: tuple[tuple[str, str], ...]  # (trait, its key in the counts)
    is_gateway: bool
    gateway_is_away: bool
    last: Finding | None


def count_all_across_tenants(*, now: datetime) -> dict[int, Counts]:
    """Return the counts of each tenant, of all devices and without a sample."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT_ALL, fact_values(now))
        return read_counts(cursor.fetchall())


def list_troubled_across_tenants(*, now: datetime) -> Iterator[TroubledDevice]:
    """Yield every device that has a trouble now, by device id."""
    with connection.cursor() as cursor:
        cursor.execute(_TROUBLED, fact_values(now))
        for device_id, tenant_id, kind, trouble, is_away, *rest in cursor.fetchall():
            values, (verdict, trait) = rest[: len(TRAITS)], rest[len(TRAITS) :]
            keys = zip(TRAITS, values, strict=True)
            yield TroubledDevice(
                device_id=device_id,
                tenant_id=tenant_id,
                trouble=Trouble(trouble),
                traits=tuple((name, key) for name, key in keys if key),
                is_gateway=kind == DeviceKind.GATEWAY,
                gateway_is_away=is_away,
                last=Finding(Verdict(verdict), trait) if verdict else None,
            )
