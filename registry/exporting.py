"""The answer that streams devices as a file; REST and the admin give the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.db.models import QuerySet
from django.http import StreamingHttpResponse

from iotplatform.common import wall
from registry.models import Device
from registry.selectors.exports import export_csv, export_ndjson

CSV, NDJSON = "csv", "ndjson"
EXPORTS: dict[str, tuple[Callable[[QuerySet[Device]], Iterator[str]], str]] = {
    CSV: (export_csv, "text/csv; charset=utf-8"),
    NDJSON: (export_ndjson, "application/x-ndjson"),
}


def export_response(devices: QuerySet[Device], name: str) -> StreamingHttpResponse:
    """Return the devices as a file of this format, made while it is sent."""
    export, content_type = EXPORTS[name]
    lines = wall.stream(export(devices))
    answer = StreamingHttpResponse(lines, content_type=content_type)
    answer["Content-Disposition"] = f'attachment; filename="devices.{name}"'
    return answer
