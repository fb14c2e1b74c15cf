"""Bodies that are sent in chunks, without a Content-Length."""

from __future__ import annotations

import json
from collections.abc import Iterable
from http import HTTPStatus
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any

from django.conf import settings
from gunicorn.http.errors import ParseException

from iotplatform.common.problems import CONTENT_TYPE, problem_body
from iotplatform.common.uploads import longest_body

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

READ_BYTES = 64 * 1024  # at a time


class ChunkedBodies:
    """A WSGI application that gives a chunked body its length, for Django.

    Django and DRF read as many bytes as Content-Length says, and none without it. So
    the body is read first, to a temporary file if it is long. Then all checks of a
    length hold for it too.
    """

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer 413 to a body longer than any request may be, 400 to bad chunks."""
        if not is_chunked(environ):
            return self._application(environ, start_response)
        most = longest_body()
        with SpooledTemporaryFile(settings.FILE_UPLOAD_MAX_MEMORY_SIZE) as body:
            try:
                is_whole = _copy(environ["wsgi.input"], body, most=most)
            except ParseException as error:
                text = f"The body is not valid chunks: {error}"
                return _refuse(HTTPStatus.BAD_REQUEST, text, start_response)
            if not is_whole:
                text = f"The body is too long: at most {most} bytes."
                status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
                return _refuse(status, text, start_response)
            environ["CONTENT_LENGTH"] = str(body.tell())
            body.seek(0)
            environ["wsgi.input"] = body
            return self._application(environ, start_response)


def is_chunked(environ: WSGIEnvironment) -> bool:
    """Whether the body ends by itself, and not after Content-Length bytes."""
    return bool(environ.get("wsgi.input_terminated")) and (
        "HTTP_TRANSFER_ENCODING" in environ
    )


def _copy(source: Any, target: IO[bytes], *, most: int) -> bool:
    """Copy all bytes; stop and return False if there are more than ``most``."""
    while part := source.read(READ_BYTES):
        target.write(part)
        if target.tell() > most:
            return False
    return True


def _refuse(
    status: HTTPStatus, detail: str, start_response: StartResponse
) -> Iterable[bytes]:
    body = json.dumps(problem_body(status, detail)).encode()
    headers = [("Content-Type", CONTENT_TYPE), ("Content-Length", str(len(body)))]
    start_response(f"{status.value} {status.phrase}", headers)
    return [body]
