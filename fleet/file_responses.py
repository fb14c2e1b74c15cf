"""Answers that are files; REST and the console share them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import StreamingHttpResponse

from fleet.selectors.edits import undo_file_csv, undo_file_ndjson
from fleet.selectors.exports import Export
from iotplatform.common import tenant_scope
from iotplatform.common.problems import BadInput

if TYPE_CHECKING:
    from fleet.models import FleetEdit

CSV, NDJSON = "csv", "ndjson"
CONTENT_TYPES = {
    CSV: "text/csv; charset=utf-8",
    NDJSON: "application/x-ndjson; charset=utf-8",
}


def read_format(text: str | None) -> str:
    """Return the name of a file's format, by default CSV; raises BadInput."""
    if text is None:
        return CSV
    if text not in CONTENT_TYPES:
        raise BadInput(format=f"One of: {', '.join(CONTENT_TYPES)}.")
    return text


def export_response(export: Export, name: str) -> StreamingHttpResponse:
    """Return the devices as a file of this format, written while it is sent."""
    lines = export.csv() if name == CSV else export.ndjson()
    answer = StreamingHttpResponse(lines, content_type=CONTENT_TYPES[name])
    answer["Content-Disposition"] = f'attachment; filename="fleet.{name}"'
    answer["Index-Lag-Seconds"] = str(export.index_lag_seconds)
    answer["Cache-Control"] = "private, no-store"
    return answer


def edit_file(edit: FleetEdit, name: str) -> StreamingHttpResponse:
    """Return the undo file of an edit in this format, written while it is sent."""
    lines = undo_file_csv(edit) if name == CSV else undo_file_ndjson(edit)
    answer = StreamingHttpResponse(
        tenant_scope.stream(lines), content_type=CONTENT_TYPES[name]
    )
    disposition = f'attachment; filename="edit-{edit.public_id}.{name}"'
    answer["Content-Disposition"] = disposition
    answer["Cache-Control"] = "private, no-store"
    return answer
