"""Files in parts and by version: Range, If-Range, If-None-Match (RFC 9110)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import IO, Any

from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import parse_etags

from iotplatform.common.etags import quoted
from iotplatform.common.problems import problem_response

# One range; several are answered with the whole file, as the standard allows. The
# number of digits is limited because Python refuses to read longer numbers.
ONE_RANGE = re.compile(
    r"bytes=[ \t]*([0-9]{0,4000})-([0-9]{0,4000})[ \t]*", re.IGNORECASE
)


class FilePart:
    """A part of an open file, to be read once; closing it closes the file."""

    def __init__(self, file: IO[bytes], part: range) -> None:
        file.seek(part.start)
        self._file, self._left = file, len(part)

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes of what is left of the part."""
        wanted = self._left if size < 0 else min(size, self._left)
        piece = self._file.read(wanted)
        self._left -= len(piece)
        return piece

    def close(self) -> None:
        self._file.close()


def ranged_response(
    request: HttpRequest,
    open_file: Callable[[], IO[bytes]],
    *,
    size: int,
    version: str,
    **options: Any,
) -> HttpResponseBase:
    """Send a file, or what the caller asked for: a part, or only a newer version.

    206 with a part, 304 if the caller has this version, 416 if the part begins after
    the file's end. ``version`` must change with every byte of the file; ``options``
    are those of FileResponse.
    """
    part = requested_part(request, size=size, version=version)
    answer: HttpResponseBase
    if _is_known(request, version):
        answer = HttpResponse(status=304)
        del answer["Content-Type"]
    elif part is not None and not part:
        detail = f"The file has {size} bytes; the range begins after them."
        answer = problem_response(request, 416, detail)
        answer["Content-Range"] = f"bytes */{size}"
    elif part is not None:
        answer = FileResponse(FilePart(open_file(), part), status=206, **options)
        answer["Content-Length"] = str(len(part))
        answer["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    else:
        answer = FileResponse(open_file(), **options)
        answer["Content-Length"] = str(size)
    if answer.status_code != 416:
        answer["ETag"] = quoted(version)
    answer["Accept-Ranges"] = "bytes"
    return answer


def requested_part(request: HttpRequest, *, size: int, version: str) -> range | None:
    """Return the positions of the bytes asked for; None for the whole file.

    Empty if the file has none of them. A range that is not valid is ignored, and so is
    one for another version of the file.
    """
    found = ONE_RANGE.fullmatch(request.headers.get("Range", "").strip())
    if request.method != "GET" or found is None:
        return None
    if request.headers.get("If-Range", quoted(version)).strip() != quoted(version):
        return None
    first, last = found.groups()
    if not first:
        return range(max(0, size - int(last)), size) if last else None
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)


def _is_known(request: HttpRequest, version: str) -> bool:
    tags = parse_etags(request.headers.get("If-None-Match", ""))
    return "*" in tags or quoted(version) in {tag.removeprefix("W/") for tag in tags}
