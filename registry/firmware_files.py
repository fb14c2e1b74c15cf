"""The answer that hands out a release's file; REST and the admin give the same."""

from __future__ import annotations

from django.http import FileResponse

from iotplatform.common.problems import NotFound
from registry.models import FirmwareRelease


def file_response(release: FirmwareRelease) -> FileResponse:
    """Return a release's file, a piece at a time; raises NotFound where it is gone."""
    try:
        file = release.file.open("rb")
    except FileNotFoundError as error:
        raise NotFound("The file is not in the storage any more.") from error
    answer = FileResponse(
        file,
        as_attachment=True,
        filename=f"firmware-{release.version}.bin",
        content_type="application/octet-stream",
    )
    answer["Content-Length"] = str(release.size)
    answer["Cache-Control"] = "private, no-store"
    return answer
