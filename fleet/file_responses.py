"""Answers that are files; REST and the console share them."""

from __future__ import annotations

from django.http import StreamingHttpResponse

from fleet.selectors.exports import Export
from iotplatform.common.problems import BadInput

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
