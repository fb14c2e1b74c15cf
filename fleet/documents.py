"""Builds documents from the database: one query for any number of devices."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from typing import Any, TypeAlias

from django.db import connection

from fleet.backends.documents import FleetDocument, Scalar
from state.judgment.risk import HEARTBEAT_REASONS

# Failure rate and last acknowledgement are computed from this many of a device's newest
# commands. So the rate falls when the device recovers, and old commands cost nothing.
RECENT_COMMANDS = 20
# Longer texts are cut: nobody searches for them, and the index limits its terms.
LONGEST_TEXT = 500
MOST_VALUES = 64  # of one JSON field; a product declares fewer

# Times come as text: Python reads that faster than the database's driver does.
DOCUMENTS_SQL = """
SELECT
    d.id, d.tenant_id, d.uid, d.name, d.serial, d.kind, d.adapter, d.lifecycle, d.tags,
    d.attributes, t.slug AS tenant, j.slug AS project, s.slug AS site, s.region,
    registry_space_path(sp.path) AS space, hr.slug AS hardware_revision,
    b.slug AS batch,
    p.slug AS product, p.name AS model, g.uid AS gateway,
    p.attributes_schema, p.metrics, p.reported_keys,
    pr.connectivity, pr.cause, pr.since::text, pr.disconnects_72h,
    pr.activity_bucket::text AS last_activity,
    tw.firmware, tw.config_version, tw.reported, tw.delta <> '{}' AS drift,
    ts.indexed, rk.score AS risk, CASE WHEN rk.device_id IS NOT NULL THEN (
        SELECT coalesce(sum((reason ->> 'points')::int), 0)
        FROM jsonb_array_elements(rk.reasons) reason
        WHERE reason ->> 'name' = ANY(%(heartbeat)s)
    ) END AS heartbeat_risk,
    EXISTS (
        SELECT FROM state_maintenanceplace
        WHERE is_in_force AND device_id = d.id AND tenant_id = d.tenant_id
    ) OR EXISTS (
        SELECT FROM state_maintenanceplace
        WHERE is_in_force AND site_id = d.site_id AND tenant_id = d.tenant_id
    ) AS in_maintenance,
    jsonb_path_query_array(rk.reasons, '$[*].name') AS risk_reasons, a.*, o.*, c.*
FROM registry_device d
JOIN registry_tenant t ON t.id = d.tenant_id
JOIN registry_site s ON s.id = d.site_id
JOIN registry_product p ON p.id = d.product_id
LEFT JOIN registry_space sp ON sp.id = d.space_id
LEFT JOIN registry_hardwarerevision hr ON hr.id = d.hardware_revision_id
LEFT JOIN registry_batch b ON b.id = d.batch_id
LEFT JOIN registry_project j ON j.id = d.project_id
LEFT JOIN registry_device g ON g.id = d.gateway_id
LEFT JOIN state_presence pr ON pr.device_id = d.id
LEFT JOIN state_twin tw ON tw.device_id = d.id
LEFT JOIN state_telemetrysummary ts ON ts.device_id = d.id
LEFT JOIN state_risk rk ON rk.device_id = d.id
LEFT JOIN LATERAL (
    SELECT
        count(*) FILTER (WHERE state <> 'cleared') AS alarms,
        count(*) FILTER (WHERE state <> 'cleared' AND severity = 'info') AS alarms_info,
        count(*) FILTER (WHERE state <> 'cleared' AND severity = 'warning')
            AS alarms_warning,
        count(*) FILTER (WHERE state <> 'cleared' AND severity = 'critical')
            AS alarms_critical,
        (array_agg(code ORDER BY raised_at DESC, id DESC))[1] AS last_alarm,
        max(raised_at)::text AS last_alarm_at
    FROM state_alarm WHERE device_id = d.id
) a ON true
LEFT JOIN LATERAL (
    SELECT
        count(*) AS pending_commands,
        (min(sent_at) FILTER (
            WHERE coalesce(received_at, running_at, succeeded_at) IS NULL
        ))::text AS oldest_unacked_at
    FROM commands_command WHERE device_id = d.id AND ended_at IS NULL
) o ON true
LEFT JOIN LATERAL (
    SELECT
        max(greatest(received_at, running_at, succeeded_at))::text AS last_ack_at,
        (array_agg(name ORDER BY id DESC))[1] AS last_command,
        (array_agg(status ORDER BY id DESC))[1] AS last_command_status,
        (array_agg(failure_class ORDER BY id DESC))[1] AS last_command_failure_class,
        -- A cancelled or superseded command is not a failure.
        avg((status IN ('failed', 'timed_out', 'unknown', 'expired'))::int) FILTER (
            WHERE ended_at IS NOT NULL AND status NOT IN ('cancelled', 'superseded')
        ) AS command_failure_rate
    FROM (
        SELECT * FROM commands_command WHERE device_id = d.id
        ORDER BY id DESC LIMIT %(recent)s
    ) newest
) c ON true
WHERE d.id = ANY(%(ids)s)
ORDER BY d.id
"""

Row: TypeAlias = dict[str, Any]
Rows: TypeAlias = tuple[list[str], list[tuple[Any, ...]]]  # names of columns, values


def build_documents(device_ids: Sequence[int]) -> list[FleetDocument]:
    """Return the documents of these devices; a deleted device has none."""
    with connection.cursor() as cursor:
        return documents_of(_read(cursor, device_ids))


def documents_of(rows: Rows) -> list[FleetDocument]:
    """Return the documents of rows that were read."""
    names, found = rows
    return [_document(_decoded(names, values)) for values in found]


@contextmanager
def reading(device_ids: Sequence[int]) -> Iterator[Callable[[], Rows]]:
    """Let the database read devices while the caller does other work.

    Yields what waits for the rows. Until then the connection is in use.
    """
    connection.ensure_connection()
    assert connection.connection is not None
    with (
        connection.connection.cursor() as cursor,
        ThreadPoolExecutor(max_workers=1) as thread,
    ):
        rows = thread.submit(_read, cursor, device_ids)

        def wait() -> Rows:
            with connection.wrap_database_errors:
                return rows.result()

        yield wait


def _read(cursor: Any, device_ids: Sequence[int]) -> Rows:
    cursor.execute(
        DOCUMENTS_SQL,
        {
            "ids": list(device_ids),
            "recent": RECENT_COMMANDS,
            "heartbeat": list(HEARTBEAT_REASONS),
        },
    )
    return [column.name for column in cursor.description or ()], cursor.fetchall()


def count_devices() -> int:
    """Return how many devices there are."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM registry_device")
        (count,) = cursor.fetchone() or (0,)
    return int(count)


def device_id_chunks(size: int) -> Iterator[list[int]]:
    """Yield the ids of all devices in key order, ``size`` at a time."""
    last = 0
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT id FROM registry_device WHERE id > %s ORDER BY id LIMIT %s",
                [last, size],
            )
            ids = [device_id for (device_id,) in cursor.fetchall()]
        if not ids:
            return
        yield ids
        last = ids[-1]


def _decoded(names: list[str], values: tuple[Any, ...]) -> Row:
    """Return a row by name; Django leaves the JSON of a raw query as text."""
    row = dict(zip(names, values, strict=True))
    for name in ("attributes", "indexed", "reported", "risk_reasons"):
        text = row[name]
        row[name] = json.loads(text) if text and text not in EMPTY else None
    for name in ("attributes_schema", "metrics", "reported_keys"):
        row[name] = _declared(row[name])
    return row


@lru_cache(maxsize=1_000)  # each device's row repeats the declarations of its product
def _declared(text: str) -> Any:
    return json.loads(text)


EMPTY = ("{}", "[]")
TIMES = (
    *("since", "last_activity", "last_alarm_at", "oldest_unacked_at", "last_ack_at"),
)
PLAIN = (
    "uid", "name", "serial", "tenant", "project", "site", "region", "product", "model",
    "hardware_revision", "batch", "kind", "gateway", "adapter", "lifecycle", "tags",
    "firmware", "config_version",
    "in_maintenance", "disconnects_72h", "heartbeat_risk", "risk",
    "alarms", "alarms_info", "alarms_warning", "alarms_critical",
    "last_alarm", "pending_commands", "last_command", "last_command_status",
    "last_command_failure_class",
)  # fmt: skip
_plain, _times = itemgetter(*PLAIN), itemgetter(*TIMES)
NEVER_CONNECTED = {
    # There is no presence row, because no message ever arrived.
    "connectivity": "offline",
    "cause": "never_connected",
    "disconnects_72h": 0,
}


def _document(row: Row) -> FleetDocument:
    metrics = _numbers(row["indexed"] or {})
    rate = row["command_failure_rate"]
    values: dict[str, Any] = {
        name: value[:LONGEST_TEXT] or None if value.__class__ is str else value
        for name, value in zip(PLAIN, _plain(row), strict=True)
    }
    for name, text in zip(TIMES, _times(row), strict=True):
        values[name] = text and _moment(text)
    values |= {
        "connectivity": row["connectivity"],
        "cause": row["cause"] or None,
        "space": row["space"],  # never cut: a path may be long
        "drift": bool(row["drift"]),
        "battery": metrics.get("battery"),
        "rssi": metrics.get("rssi"),
        "risk_reasons": row["risk_reasons"] or [],
        "command_failure_rate": None if rate is None else round(float(rate), 3),
        "attr": _searchable(row["attributes"] or {}, row["attributes_schema"]),
        "reported": _reported(row["reported"] or {}, row["reported_keys"]),
        "metric": {
            name: metrics[name]
            for name in sorted([m["name"] for m in row["metrics"]])
            if name in metrics
        },
    }
    if row["connectivity"] is None:
        values |= NEVER_CONNECTED
    return FleetDocument(row["id"], row["tenant_id"], values)


def _moment(text: str) -> datetime:
    """Return a time as the index keeps it: in UTC, with milliseconds."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1_000 * 1_000)


def _numbers(values: dict[str, Any]) -> dict[str, float]:
    return {
        name: value
        for name, value in values.items()
        if _is_scalar(value) and not isinstance(value, bool | str)
    }


def _searchable(
    attributes: dict[str, Any], schema: dict[str, Any]
) -> dict[str, Scalar | list[Scalar]]:
    """Return the attributes that the product declares as searchable."""
    declared = schema.get("properties")
    if not isinstance(declared, dict):
        return {}
    found: dict[str, Scalar | list[Scalar]] = {}
    for name, rule in sorted(declared.items()):
        if isinstance(rule, dict) and rule.get("searchable") is True:
            _flatten(name, attributes.get(name), found)
    return found


def _reported(
    reported: dict[str, Any], keys: list[str]
) -> dict[str, Scalar | list[Scalar]]:
    """Return the reported values that the product declares, by their dotted key."""
    found: dict[str, Scalar | list[Scalar]] = {}
    for key in sorted(keys):
        value: Any = reported
        for step in key.split("."):
            value = value.get(step) if isinstance(value, dict) else None
        _flatten(key, reported.get(key) if value is None else value, found)
    return found


def _flatten(path: str, value: Any, found: dict[str, Scalar | list[Scalar]]) -> None:
    """Add a value under its dotted path; values inside an object get their own."""
    if value is None or len(found) >= MOST_VALUES:
        return
    if isinstance(value, dict):
        for key, inner in sorted(value.items()):
            _flatten(f"{path}.{key}", inner, found)
    elif isinstance(value, list):
        scalars = [_scalar(item) for item in value[:MOST_VALUES] if _is_scalar(item)]
        if scalars:
            found[path] = scalars
    elif _is_scalar(value):
        found[path] = _scalar(value)


def _is_scalar(value: Any) -> bool:
    # JSON allows larger whole numbers than the index, and a device may send one.
    if isinstance(value, int | float):
        return abs(value) <= sys.float_info.max
    return isinstance(value, str)


def _scalar(value: Any) -> Scalar:
    return value[:LONGEST_TEXT] if isinstance(value, str) else value
