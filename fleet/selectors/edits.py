"""Reads of edits in bulk: how far they are, and their undo files."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db.models import Count, QuerySet

from fleet.choices import EditResult, UndoResult
from fleet.exceptions import NoSuchEdit
from fleet.models import EditedDevice, FleetEdit
from fleet.selectors.exports import Echo, cell_of
from iotplatform.common import bulk_sql
from iotplatform.common.ids import parse_uuid
from registry.models import Tenant
from registry.selectors.access import attach_caller_tenant, sets_within

SHOWN = 20  # uids of each reason
MOST_REASONS = 20
COLUMNS = ("device", "result", "reason", "before", "after", "undo", "undo_reason")

_REASONS = """
    SELECT {column}, count(*), (array_agg(uid ORDER BY uid))[1:{shown}]
    FROM fleet_editeddevice WHERE edit_id = %s AND {column} <> ''
    GROUP BY {column} ORDER BY 2 DESC, 1 LIMIT {most}
"""


@dataclass(frozen=True)
class Reason:
    """Why some devices stay as they are: how many, and the first of them."""

    reason: str
    count: int
    devices: list[str]


@dataclass(frozen=True)
class EditOutcome:
    """The devices of an edit, counted by what became of them."""

    results: dict[str, int] = field(default_factory=dict)
    left_out: list[Reason] = field(default_factory=list)
    undone: dict[str, int] = field(default_factory=dict)
    not_restored: list[Reason] = field(default_factory=list)

    def count_of(self, result: EditResult) -> int:
        return self.results.get(result.value, 0)

    @property
    def restored(self) -> int:
        """Devices that have all or some of their former values again."""
        whole, part = UndoResult.RESTORED.value, UndoResult.PARTLY.value
        return self.undone.get(whole, 0) + self.undone.get(part, 0)


def list_edits(*, tenants: Sequence[Tenant]) -> QuerySet[FleetEdit]:
    """Return the edits of which the caller may see every device, the newest first."""
    members = EditedDevice.objects.all()
    rows = FleetEdit.objects.filter(sets_within(tenants, members, owner="edit_id"))
    return rows.select_related("tenant", "created_by", "undone_by").order_by("-pk")


def get_edit(*, tenants: Sequence[Tenant], public_id: UUID | str) -> FleetEdit:
    """Return one edit; raises NoSuchEdit."""
    wanted = parse_uuid(public_id)
    found = wanted and list_edits(tenants=tenants).filter(public_id=wanted).first()
    if not found:
        raise NoSuchEdit("There is no such edit.")
    attach_caller_tenant(found, tenants)
    return found


def outcome_of(edit: FleetEdit) -> EditOutcome:
    """Count the devices of an edit by result, and why some stay as they are."""
    rows = EditedDevice.objects.filter(edit=edit)
    counts = rows.order_by().values_list("result", "undo").annotate(Count("pk"))
    results: dict[str, int] = {}
    undone: dict[str, int] = {}
    for result, undo, number in counts:
        results[result] = results.get(result, 0) + number
        if undo:
            undone[undo] = undone.get(undo, 0) + number
    return EditOutcome(
        results, _reasons(edit, "reason"), undone, _reasons(edit, "undo_reason")
    )


def undo_file_csv(edit: FleetEdit) -> Iterator[str]:
    """Yield a CSV file: each device, with its values before and after as JSON."""
    writer = csv.writer(Echo())
    yield writer.writerow(COLUMNS)
    for row in _file_rows(edit):
        yield writer.writerow([cell_of(value) for value in row.values()])


def undo_file_ndjson(edit: FleetEdit) -> Iterator[str]:
    """Yield one JSON object a device, with its values before and after."""
    for row in _file_rows(edit):
        yield json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n"


def _file_rows(edit: FleetEdit) -> Iterator[dict[str, Any]]:
    rows = EditedDevice.objects.filter(edit=edit).order_by("device_id")
    names = ("uid", *COLUMNS[1:])
    for values in rows.values_list(*names).iterator(chunk_size=2_000):
        yield dict(zip(COLUMNS, values, strict=True))


def _reasons(edit: FleetEdit, column: str) -> list[Reason]:
    statement = _REASONS.format(column=column, shown=SHOWN, most=MOST_REASONS)
    return [Reason(*row) for row in bulk_sql.fetch(statement, [edit.pk])]
