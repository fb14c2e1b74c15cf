"""Twins: apply reported documents in order, and change desired ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import msgspec
from django.db import transaction

from iotplatform.common import bulk_sql
from state.choices import TwinSide
from state.exceptions import DesiredRefused, DesiredVersionMoved
from state.judgment.desired_asks import Ask, Asks, leave_out_later, with_asks
from state.judgment.twin_documents import (
    DESIRED_BYTES,
    Document,
    changes_of,
    delta_of,
    merge_patch,
    restoring_patch,
    text_of,
)
from state.models import Twin, TwinChange

if TYPE_CHECKING:
    from iotplatform.common.messages import Reported
    from state.services.arrivals import Report

FIRMWARE_KEY = "firmware"
CONFIG_KEY = "config_version"


@dataclass(frozen=True, slots=True)
class TwinNow:
    """The reported half of a twin after a batch."""

    reported: Document
    delta: Document
    firmware: str
    config_version: str


@dataclass(frozen=True, slots=True)
class Merged:
    """What was merged into one desired document."""

    version: int
    patch: Document  # without what was changed by a later ask; empty: nothing is left
    later: Asks  # the asks that came later, by the path that was left out
    previous: Document  # the patch that restores the document as it was


@dataclass(slots=True)
class _TwinRow:
    device_id: int
    desired: Document
    desired_version: int
    reported: Document
    reported_version: int
    reported_boot: int | None
    reported_session: str
    reported_at: datetime | None


_LOCK = """
    SELECT device_id, desired::text, desired_version, reported::text, reported_version,
        reported_boot, reported_session, reported_at
    FROM state_twin WHERE device_id = ANY(%s) ORDER BY device_id FOR UPDATE
"""
_CREATE = """
    INSERT INTO state_twin (device_id, tenant_id, desired, desired_asks,
        desired_version, reported, reported_version, reported_session, delta, firmware,
        config_version)
    SELECT d.id, d.tenant_id, '{}', '{}', 0, '{}', 0, '', '{}', '', ''
    FROM registry_device d WHERE d.id = ANY(%s) ORDER BY d.id
    ON CONFLICT (device_id) DO NOTHING
"""
_WRITE_REPORTED = bulk_sql.update_by_key(
    Twin,
    "reported",
    "reported_version",
    "reported_boot",
    "reported_session",
    "reported_at",
    "delta",
    "firmware",
    "config_version",
)
_DESIRED_COLUMNS = ("device_id", "desired", "desired_version", "delta", "desired_asks")
_WRITE_DESIRED = f"""
    UPDATE state_twin AS t
    SET desired = v.desired, desired_version = v.desired_version, desired_at = %s,
        delta = v.delta, desired_asks = v.desired_asks
    FROM {bulk_sql.unnest(Twin, *_DESIRED_COLUMNS)}
    WHERE t.device_id = v.device_id
"""
_ASKS = "SELECT device_id, desired_asks::text FROM state_twin WHERE device_id = ANY(%s)"
_CHANGE_COLUMNS = ("tenant_id", "device_id", "at", "version", "changes")
_REMEMBER_REPORTED = f"""
    INSERT INTO state_twinchange (tenant_id, device_id, at, version, changes, side)
    SELECT v.*, '{TwinSide.REPORTED}'
    FROM {bulk_sql.unnest(TwinChange, *_CHANGE_COLUMNS)}
"""
# A change without a difference is a new version, but not in the change log.
_REMEMBER_DESIRED = f"""
    INSERT INTO state_twinchange (tenant_id, device_id, at, side, version, changes)
    SELECT d.tenant_id, d.id, %s, 'desired', v.version, v.changes
    FROM {bulk_sql.unnest(TwinChange, "device_id", "version", "changes")}
    JOIN registry_device d ON d.id = v.device_id WHERE v.changes <> '{{}}'
"""


def apply_reports(reports: Sequence[Report]) -> dict[int, TwinNow]:
    """Apply the documents that are not older than the known ones; return the twins."""
    if not reports:
        return {}
    rows = _lock_or_create({report.device.id for report in reports})
    changed: dict[int, TwinNow] = {}
    history: list[tuple[Any, ...]] = []
    for report in reports:
        row = rows[report.device.id]
        message = cast("Reported", report.uplink.message)
        if not _is_current(row, message, report.session):
            continue
        if differing := changes_of(row.reported, message.reported, row.desired):
            history.append(
                (
                    *(report.device.tenant_id, row.device_id, report.uplink.at),
                    *(message.version, _encode(differing)),
                )
            )
        row.reported, row.reported_version = message.reported, message.version
        row.reported_boot, row.reported_session = message.boot, report.session
        row.reported_at = report.uplink.at
        changed[row.device_id] = TwinNow(
            message.reported,
            delta_of(row.desired, message.reported),
            text_of(message.reported, FIRMWARE_KEY),
            text_of(message.reported, CONFIG_KEY),
        )
    if changed:
        written = [_reported_values(rows[key], changed[key]) for key in sorted(changed)]
        bulk_sql.run(_WRITE_REPORTED, bulk_sql.columns_of(written, 9))
    if history:
        bulk_sql.run(_REMEMBER_REPORTED, bulk_sql.columns_of(history, 5))
    return changed


def merge_desired(
    device_id: int,
    patch: Document,
    *,
    expected_version: int | None = None,
    at: datetime,
    ask: Ask | None = None,
    command: UUID | None = None,
) -> int:
    """Merge a patch into one desired document; return its new version.

    Raises DesiredVersionMoved if ``expected_version`` is not the current version, and
    DesiredRefused.
    """
    with transaction.atomic():
        if expected_version is not None:
            row = _lock_or_create({device_id})[device_id]
            if row.desired_version != expected_version:
                raise DesiredVersionMoved(current=row.desired_version)
        commands = {device_id: command} if command else None
        merged = merge_desired_many(
            [device_id], patch, at=at, ask=ask, commands=commands
        )
        return merged[device_id].version


def merge_desired_many(
    device_ids: Collection[int],
    patch: Document | None = None,
    *,
    at: datetime,
    patches: Mapping[int, Document] | None = None,
    ask: Ask | None = None,
    commands: Mapping[int, UUID] | None = None,
) -> dict[int, Merged]:
    """Merge a patch into many desired documents, without what was asked for later.

    It is the same one for all but the devices that have one of ``patches``. ``ask``
    says who asked and when, ``commands`` by which command of each device. If nothing of
    the patch is left, the document keeps its version. Raises DesiredRefused if the
    patch is no JSON object, or if a document would be too large.
    """
    if patches is None and not isinstance(patch, dict):
        raise DesiredRefused(desired="A merge patch must be a JSON object.")
    with transaction.atomic():
        rows = _lock_or_create(device_ids)
        asks = {pk: msgspec.json.decode(text) for pk, text in _asks_of(device_ids)}
        written, history = [], []
        merged: dict[int, Merged] = {}
        for row in sorted(rows.values(), key=lambda row: row.device_id):
            known: Asks = asks[row.device_id]
            later: Asks = {}
            mine = (patches or {}).get(row.device_id, patch or {})
            if ask is not None:
                mine, later = leave_out_later(mine, known, at=ask.at, by=ask.by)
                command = (commands or {}).get(row.device_id)
                known = with_asks(known, mine, ask.stored(command))
            if later and not mine:
                merged[row.device_id] = Merged(row.desired_version, {}, later, {})
                continue
            desired = merge_patch(row.desired, mine)
            differing = changes_of(row.desired, desired, {**row.desired, **desired})
            text = _encode(desired)
            if len(text.encode()) > DESIRED_BYTES:
                raise DesiredRefused(
                    desired=f"The document would be larger than {DESIRED_BYTES} bytes."
                )
            delta = _encode(delta_of(desired, row.reported))
            version = row.desired_version + 1
            previous = restoring_patch(row.desired, mine)
            merged[row.device_id] = Merged(version, mine, later, previous)
            written.append((row.device_id, text, version, delta, _encode(known)))
            history.append((row.device_id, version, _encode(differing)))
        bulk_sql.run(_WRITE_DESIRED, [at, *bulk_sql.columns_of(written, 5)])
        bulk_sql.run(_REMEMBER_DESIRED, [at, *bulk_sql.columns_of(history, 3)])
    return merged


def lock_desired(device_ids: Collection[int]) -> dict[int, Document]:
    """Lock the twins of these devices in key order; return their desired documents."""
    return {pk: row.desired for pk, row in _lock_or_create(device_ids).items()}


def _asks_of(device_ids: Collection[int]) -> list[tuple[int, str]]:
    """Return the stored asks of the devices whose twins the caller has locked."""
    return bulk_sql.fetch(_ASKS, [sorted(device_ids)])


def _is_current(row: _TwinRow, message: Reported, session: str) -> bool:
    """Return whether a document is not older than the known one."""
    if row.reported_at is None:
        return True
    if message.boot is not None:
        if row.reported_boot is None:
            return True
        known = (row.reported_boot, row.reported_version)
        return (message.boot, message.version) >= known
    # Without a boot number, only a birth with a new session restarts the versions.
    if session and session != row.reported_session:
        return True
    return message.version >= row.reported_version


def _reported_values(row: _TwinRow, now: TwinNow) -> tuple[Any, ...]:
    return (
        row.device_id,
        _encode(now.reported),
        row.reported_version,
        row.reported_boot,
        row.reported_session,
        row.reported_at,
        _encode(now.delta),
        now.firmware,
        now.config_version,
    )


def _lock_or_create(device_ids: Collection[int]) -> dict[int, _TwinRow]:
    """Lock the twins of these devices in key order; create missing ones."""
    found = bulk_sql.lock_or_create(_LOCK, _CREATE, device_ids)
    decode = msgspec.json.decode
    return {
        device_id: _TwinRow(
            device_id, decode(desired), version, decode(reported), *rest
        )
        for device_id, desired, version, reported, *rest in found
    }


def _encode(document: Document | Asks) -> str:
    return msgspec.json.encode(document).decode()
