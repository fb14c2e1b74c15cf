"""Edits in bulk: the devices of a search are frozen, changed, and may be restored.

A small edit happens at once; a worker does a large one in batches. Each batch is one
transaction with its results, so that a killed worker leaves nothing half done and the
next one goes on where it ended.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from celery import current_app
from django.db import transaction
from django.utils import timezone

from fleet.choices import EditResult, EditStatus, UndoResult
from fleet.exceptions import CountMoved, NothingToEdit, QueryError
from fleet.models import EditedDevice, FleetEdit
from fleet.selectors.search import Member, list_members
from iotplatform.common import bulk_sql
from iotplatform.common.problems import BadInput, Conflict
from registry.models import Tenant, User
from registry.services.bulk.edit import (
    BulkEdit,
    edit_devices,
    preview_edit,
    read_edit,
)
from registry.services.bulk.rows import EditedDevice as Edited
from registry.services.bulk.undo import restore_devices

# Changed within the request; it takes a second. A worker does more than this.
AT_ONCE = 2_000
BATCH = 2_000  # devices of one transaction: their rows are locked for a second
TASK = "fleet.run_edits"

_INSERT = f"""
    INSERT INTO fleet_editeddevice (tenant_id, edit_id, device_id, uid, result, reason,
        before, after, undo, undo_reason)
    SELECT %s, %s, v.device_id, v.uid, '{EditResult.PENDING}', '', '{{}}', '{{}}', '',
        ''
    FROM {bulk_sql.unnest(EditedDevice, "device_id", "uid")}
"""
_WRITE = bulk_sql.update_by_key(EditedDevice, "result", "reason", "before", "after")
_WRITE_UNDO = bulk_sql.update_by_key(EditedDevice, "undo", "undo_reason")


@dataclass(frozen=True)
class EditRequest:
    """What to change on the devices of a query, and why."""

    tenant: Tenant
    query: str
    changes: dict[str, Any]
    reason: str
    expected_count: int | None = None


@dataclass(frozen=True)
class EditPreview:
    """What an edit would do; ``left_out`` has uids by the reason."""

    count: int
    changed: int = 0
    unchanged: int = 0
    left_out: dict[str, list[str]] = field(default_factory=dict)


def preview(request: EditRequest) -> EditPreview:
    """Return what the edit would do, and create nothing. Raises as ``start_edit``."""
    edit, members = _resolved(request)
    return _previewed(request.tenant, edit, members)


def start_edit(
    request: EditRequest, *, actor: User | None, now: datetime | None = None
) -> FleetEdit:
    """Freeze the devices of the query and change them, many of them by a worker.

    Raises BadInput naming the wrong part of ``set``, the query or the reason;
    QueryError, IndexUnavailable; CountMoved for another count than the expected one;
    NothingToEdit if no device may be changed so.
    """
    now = now or timezone.now()
    if not request.reason.strip():
        raise BadInput(reason="Say why.")
    edit, members = _resolved(request)
    if not members:
        raise BadInput(query="No device matches.")
    seen = _previewed(request.tenant, edit, members)
    if not seen.changed and not seen.unchanged:
        raise NothingToEdit(seen.left_out)
    with transaction.atomic():
        row = FleetEdit.objects.create(
            tenant=request.tenant,
            query=request.query,
            changes=request.changes,
            reason=request.reason.strip(),
            size=len(members),
            status=EditStatus.QUEUED,
            created_by=actor,
            created_at=now,
        )
        pairs = [(member.device_id, member.uid) for member in members]
        columns = bulk_sql.columns_of(pairs, 2)
        bulk_sql.run(_INSERT, [request.tenant.pk, row.pk, *columns])
        _work_now_or_later(row, request.tenant, now)
    return row


@transaction.atomic
def undo_edit(
    edit: FleetEdit, *, tenant: Tenant, actor: User | None, now: datetime | None = None
) -> FleetEdit:
    """Restore what nobody changed since; raises Conflict unless the edit is done.

    ``tenant`` carries the limit of the person who undoes it.
    """
    now = now or timezone.now()
    row = FleetEdit.objects.select_for_update().get(pk=edit.pk)
    if row.status != EditStatus.DONE:
        raise Conflict(f"This edit is {row.get_status_display()}; it cannot be undone.")
    row.status, row.undone_by, row.undone_at = EditStatus.UNDOING, actor, now
    row.ended_at = None
    row.save()
    _work_now_or_later(row, tenant, now)
    return row


def work_on(row: FleetEdit, tenant: Tenant, *, now: datetime) -> bool:
    """Change or restore the next batch of an open edit; return whether it goes on.

    ``tenant`` carries the limit of the person whose edit, or undo, it is.
    """
    work = _undo_batch if row.status == EditStatus.UNDOING else _edit_batch
    with transaction.atomic():
        locked = FleetEdit.objects.select_for_update().get(pk=row.pk)
        if locked.status != row.status:
            return False  # another worker has ended it
        goes_on = work(locked, tenant, now)
        locked.worked_at = now
        if not goes_on:
            is_undo = locked.status == EditStatus.UNDOING
            locked.status = EditStatus.UNDONE if is_undo else EditStatus.DONE
            locked.ended_at = now
        locked.save()
    row.status, row.ended_at = locked.status, locked.ended_at
    return goes_on


def fail_edit(row: FleetEdit, detail: str, *, now: datetime) -> None:
    """End an edit that cannot go on; what is done stays, with its undo file."""
    FleetEdit.objects.filter(pk=row.pk).update(
        status=EditStatus.FAILED, detail=detail, ended_at=now
    )


def _resolved(request: EditRequest) -> tuple[BulkEdit, list[Member]]:
    edit = read_edit(tenant=request.tenant, wanted=request.changes)
    try:
        members = list_members(tenants=[request.tenant], q=request.query).members
    except QueryError as error:
        raise error.about("query") from error
    if request.expected_count not in (None, len(members)):
        raise CountMoved(expected=request.expected_count, count=len(members))
    return edit, members


def _previewed(
    tenant: Tenant, edit: BulkEdit, members: Sequence[Member]
) -> EditPreview:
    """Look at all devices; raises BadInput for attributes that none may have."""
    counts: Counter[str] = Counter()
    left_out: dict[str, list[str]] = {}
    errors: list[dict[str, Any]] = []
    for start in range(0, len(members), BATCH):
        ids = [member.device_id for member in members[start : start + BATCH]]
        for found in preview_edit(tenant=tenant, device_ids=ids, edit=edit):
            counts[_result(found)] += 1
            if found.reason:
                left_out.setdefault(found.reason, []).append(found.row.uid)
                errors = errors or found.errors
    if errors and not counts[EditResult.CHANGED] + counts[EditResult.UNCHANGED]:
        raise BadInput(errors=[{**e, "field": f"set.{e['field']}"} for e in errors])
    return EditPreview(
        len(members),
        counts[EditResult.CHANGED],
        counts[EditResult.UNCHANGED],
        left_out,
    )


def _work_now_or_later(row: FleetEdit, tenant: Tenant, now: datetime) -> None:
    if row.size > AT_ONCE:
        transaction.on_commit(_wake, robust=True)
        return
    while work_on(row, tenant, now=now):
        pass


def _wake() -> None:
    """Wake a worker now; without Redis the next scheduled run finds the edit."""
    current_app.send_task(TASK)


def _edit_batch(row: FleetEdit, tenant: Tenant, now: datetime) -> bool:
    rows = EditedDevice.objects.filter(edit=row, result=EditResult.PENDING)
    waiting = dict(rows.order_by("device_id").values_list("device_id", "pk")[:BATCH])
    if not waiting:
        return False
    edit = read_edit(tenant=tenant, wanted=row.changes)
    found = edit_devices(
        tenant=tenant,
        device_ids=waiting,
        edit=edit,
        reason=row.reason,
        actor=row.created_by,
        now=now,
    )
    written = [
        (waiting.pop(e.row.id), _result(e), e.reason, _text(e.before), _text(e.after))
        for e in found
    ]
    gone = "is no longer one of your devices"
    written += [
        (pk, EditResult.LEFT_OUT.value, gone, "{}", "{}") for pk in waiting.values()
    ]
    bulk_sql.run(_WRITE, bulk_sql.columns_of(written, 5))
    return True


def _undo_batch(row: FleetEdit, tenant: Tenant, now: datetime) -> bool:
    rows = EditedDevice.objects.filter(edit=row, result=EditResult.CHANGED, undo="")
    waiting = {each.device_id: each for each in rows.order_by("device_id")[:BATCH]}
    if not waiting:
        return False
    found = restore_devices(
        tenant=tenant,
        edited={pk: (each.before, each.after) for pk, each in waiting.items()},
        reason=f"undone: {row.reason}",
        actor=row.undone_by,
        now=now,
    )
    written = [(waiting.pop(e.row.id).pk, _undo_result(e), e.reason) for e in found]
    gone = "is no longer one of your devices"
    written += [(each.pk, UndoResult.SKIPPED.value, gone) for each in waiting.values()]
    bulk_sql.run(_WRITE_UNDO, bulk_sql.columns_of(written, 3))
    return True


def _result(found: Edited) -> str:
    if found.reason:
        return EditResult.LEFT_OUT.value
    return (EditResult.CHANGED if found.after else EditResult.UNCHANGED).value


def _undo_result(found: Edited) -> str:
    if not found.after:
        return UndoResult.SKIPPED.value
    return (UndoResult.PARTLY if found.reason else UndoResult.RESTORED).value


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document)
