"""Answers that are files; REST and the admin share them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase

from iotplatform.common import tenant_scope
from iotplatform.common.file_ranges import ranged_response
from iotplatform.common.problems import NotFound
from registry.models import Device, FirmwareRelease
from registry.selectors.exports import export_csv, export_ndjson

CSV, NDJSON = "csv", "ndjson"
EXPORTS: dict[str, tuple[Callable[[QuerySet[Device]], Iterator[str]], str]] = {
    CSV: (export_csv, "text/csv; charset=utf-8"),
    NDJSON: (export_ndjson, "application/x-ndjson"),
}


def export_response(devices: QuerySet[Device], name: str) -> StreamingHttpResponse:
    """Return the devices as a file of this format, written while it is sent."""
    export, content_type = EXPORTS[name]
    lines = tenant_scope.stream(export(devices))
    answer = StreamingHttpResponse(lines, content_type=content_type)
    answer["Content-Disposition"] = f'attachment; filename="devices.{name}"'
    return answer


def file_response(request: HttpRequest, release: FirmwareRelease) -> HttpResponseBase:
    """Stream a release's file or the part asked for; its version is its SHA-256.

    Raises NotFound if the storage has lost the file.
    """
    try:
        answer = ranged_response(
            request,
            lambda: release.file.open("rb"),
            size=release.size,
            version=release.sha256,
            as_attachment=True,
            filename=f"firmware-{release.version}.bin",
            content_type="application/octet-stream",
        )
    except FileNotFoundError as error:
        raise NotFound("The file is not in the storage any more.") from error
    answer["Cache-Control"] = "private, no-store"
    return answer
