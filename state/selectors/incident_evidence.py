"""Devices in trouble, and how many peers they have: the evidence of incidents."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import LiteralString, NamedTuple

from iotplatform.common import bulk_sql

# A device is in work if its own window or that of its site is in force.
IN_WORK: LiteralString = """
    EXISTS (SELECT FROM state_maintenanceplace w WHERE w.is_in_force
        AND w.tenant_id = d.tenant_id AND (w.device_id = d.id OR w.site_id = d.site_id))
"""
# A device that was never heard, or said goodbye, is in no trouble. Drift counts while
# the device is online: an absent one has had no chance to apply anything.
_TROUBLES: LiteralString = """
    SELECT p.device_id, CASE p.cause WHEN 'platform_blind' THEN 'blind'
            WHEN 'invalid_messages' THEN 'garbled' ELSE 'silent' END AS trouble,
        p.since AS at, p.cause AS code, false AS is_critical
    FROM state_presence p
    WHERE p.connectivity IN ('offline', 'stale')
        AND p.cause NOT IN ('never_connected', 'goodbye', '')
    UNION ALL
    SELECT a.device_id, 'alarm', a.raised_at, a.code, a.severity = 'critical'
    FROM state_alarm a WHERE a.state <> 'cleared' AND a.severity <> 'info'
    UNION ALL
    SELECT t.device_id, 'drift', coalesce(
            (SELECT max(c.at) FROM state_twinchange c
            WHERE c.device_id = t.device_id AND c.at >= t.desired_at
                AND c.changes ?| ARRAY(SELECT jsonb_object_keys(t.delta))),
            t.desired_at, t.reported_at),
        (SELECT string_agg(key, ', ' ORDER BY key) FROM jsonb_object_keys(t.delta) key),
        false
    FROM state_twin t JOIN state_presence p ON p.device_id = t.device_id
    WHERE t.delta <> '{}' AND p.connectivity = 'online' AND t.reported_at > t.desired_at
    UNION ALL
    SELECT d.id, 'rejected', min(l.at), min(l.reason), false
    FROM state_deadletter l JOIN registry_device d ON d.uid = l.sender
    WHERE l.at > %s AND l.sender <> '' AND l.tenant_id = d.tenant_id
    GROUP BY d.id HAVING count(*) >= %s
"""
_EVIDENCE: LiteralString = f"""
    SELECT x.trouble, x.at, coalesce(x.code, ''), x.is_critical, d.tenant_id, d.id,
        d.uid, d.kind, d.adapter, g.uid, s.slug, s.name, b.slug, r.slug, tw.firmware,
        {IN_WORK}
    FROM ({_TROUBLES}) x
    JOIN registry_device d ON d.id = x.device_id AND d.lifecycle = 'active'
    LEFT JOIN registry_device g ON g.id = d.gateway_id
    LEFT JOIN registry_site s ON s.id = d.site_id
    LEFT JOIN registry_batch b ON b.id = d.batch_id
    LEFT JOIN registry_product r ON r.id = d.product_id
    LEFT JOIN state_twin tw ON tw.device_id = d.id
    ORDER BY x.at, d.id, x.trouble, x.code
"""
# Peers are devices in service that were heard at some time.
_SIZES: LiteralString = """
    WITH peers AS (
        SELECT d.*, tw.firmware FROM registry_device d
        JOIN state_presence p ON p.device_id = d.id AND p.cause <> 'never_connected'
        LEFT JOIN state_twin tw ON tw.device_id = d.id
        WHERE d.lifecycle = 'active'
    )
    SELECT 0::bigint, 'adapter', adapter::text, count(*) FROM peers
        WHERE adapter = ANY(%s::text[]) GROUP BY adapter
    UNION ALL
    SELECT s.tenant_id, 'site', s.slug::text, count(*) FROM peers d
        JOIN registry_site s ON s.id = d.site_id
        WHERE s.slug = ANY(%s::text[]) GROUP BY s.id
    UNION ALL
    SELECT g.tenant_id, 'gateway', g.uid::text, count(*) FROM peers d
        JOIN registry_device g ON g.id = coalesce(d.gateway_id, d.id)
        WHERE g.uid = ANY(%s::text[]) GROUP BY g.id
    UNION ALL
    SELECT b.tenant_id, 'batch', b.slug::text, count(*) FROM peers d
        JOIN registry_batch b ON b.id = d.batch_id
        WHERE b.slug = ANY(%s::text[]) GROUP BY b.id
    UNION ALL
    SELECT d.tenant_id, 'firmware', r.slug || '/' || d.firmware, count(*) FROM peers d
        JOIN registry_product r ON r.id = d.product_id
        WHERE r.slug || '/' || d.firmware = ANY(%s::text[])
        GROUP BY d.tenant_id, r.slug, d.firmware
"""
_ADAPTER_TENANTS: LiteralString = """
    SELECT DISTINCT d.tenant_id, d.adapter::text FROM registry_device d
    JOIN state_presence p ON p.device_id = d.id AND p.cause <> 'never_connected'
    WHERE d.lifecycle = 'active' AND d.adapter = ANY(%s::text[]) ORDER BY 1, 2
"""
KINDS = ("adapter", "site", "gateway", "batch", "firmware")


class TroubleRow(NamedTuple):
    """One trouble of one device in service, and whom the device belongs to."""

    trouble: str  # silent, blind, garbled, alarm, drift or rejected
    at: datetime  # its arrival
    code: str  # the cause of silence, an alarm's code, drifting keys, a reason
    is_critical: bool
    tenant_id: int
    device_id: int
    uid: str
    kind: str
    adapter: str
    gateway: str | None
    site: str | None
    site_name: str | None
    batch: str | None
    product: str | None
    firmware: str | None
    in_work: bool


def list_troubles_across_tenants(
    *, letters_since: datetime, letters: int
) -> list[TroubleRow]:
    """Return every trouble that lasts, in the order of arrival.

    A device of which ``letters`` messages were rejected since then is in trouble too.
    """
    rows = bulk_sql.fetch(_EVIDENCE, [letters_since, letters])
    return [TroubleRow(*row) for row in rows]


def count_group_sizes_across_tenants(
    keys: Mapping[str, Collection[str]],
) -> dict[tuple[int, str, str], int]:
    """Return (tenant, kind, name) → how many devices in service the groups have.

    ``keys`` are the names of each kind of ``KINDS``; an adapter has the tenant 0.
    """
    rows = bulk_sql.fetch(_SIZES, [sorted(keys.get(kind, ())) for kind in KINDS])
    return {(tenant, kind, key): size for tenant, kind, key, size in rows}


def list_adapter_tenants_across_tenants(
    adapters: Collection[str],
) -> list[tuple[int, str]]:
    """Return which tenants have devices in service on these adapters."""
    return [tuple(row) for row in bulk_sql.fetch(_ADAPTER_TENANTS, [sorted(adapters)])]
