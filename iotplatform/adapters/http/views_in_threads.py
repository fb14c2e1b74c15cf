"""Django's views as an ASGI application: each runs in one of a few threads.

A request's body is read before, and its answer sent after: a slow connection takes no
thread.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any

from django.conf import settings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

Scope = dict[str, Any]
END = b""
PART_BYTES = 64 * 1024  # a file gives 4 KiB at a time: too little for a thread's turn


class ViewsInThreads:
    """Answers requests by a WSGI application."""

    def __init__(
        self, application: WSGIApplication, *, threads: int, longest_body: int
    ) -> None:
        """Of a body, at most ``longest_body`` bytes and one more are read."""
        self._application = application
        self._most = longest_body + 1
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="view")

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        loop = asyncio.get_running_loop()
        with SpooledTemporaryFile(settings.FILE_UPLOAD_MAX_MEMORY_SIZE) as body:
            if not await _read_body(receive, body, most=self._most):
                return
            environ = make_environ(scope, body)
            answer = await loop.run_in_executor(self._pool, self._begin, environ)
        try:
            await send(answer.start)
            while part := await loop.run_in_executor(self._pool, answer.next_part):
                await send(
                    {"type": "http.response.body", "body": part, "more_body": True}
                )
            await send({"type": "http.response.body"})
        finally:
            await loop.run_in_executor(self._pool, answer.close)

    def _begin(self, environ: dict[str, Any]) -> Answer:
        answer = Answer()
        answer.parts = self._application(environ, answer.start_response)
        answer.rest = iter(answer.parts)
        return answer


class Answer:
    """The answer of a WSGI application, sent part by part."""

    def __init__(self) -> None:
        self.parts: Any = ()
        self.rest: Iterator[bytes] = iter(())
        self.start: dict[str, Any] = {}

    def start_response(
        self, status: str, headers: list[tuple[str, str]], *_: Any
    ) -> Any:
        """Keep the status and the headers, as WSGI asks for."""
        self.start = {
            "type": "http.response.start",
            "status": int(status.split(" ", 1)[0]),
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1"))
                for name, value in headers
            ],
        }

    def next_part(self) -> bytes:
        """Return the next bytes, or END."""
        found = b""
        for part in self.rest:
            found += part
            if len(found) >= PART_BYTES:
                break
        return found

    def close(self) -> None:
        if close := getattr(self.parts, "close", None):
            close()


def make_environ(scope: Scope, body: IO[bytes]) -> dict[str, Any]:
    """Return the request as WSGI describes it; the body is complete."""
    length = body.tell()
    body.seek(0)
    server, port = scope.get("server") or ("localhost", 80)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": server,
        "SERVER_PORT": str(port or 0),
        "REMOTE_ADDR": (scope.get("client") or ("",))[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        # With "_" it could pose as a header that only a proxy may set.
        if b"_" in name or name == b"transfer-encoding":
            continue
        key = "HTTP_" + name.decode("latin-1").upper().replace("-", "_")
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE", "")
    environ.pop("HTTP_CONTENT_LENGTH", None)
    environ["CONTENT_LENGTH"] = str(length)
    return environ


async def _read_body(receive: Any, target: IO[bytes], *, most: int) -> bool:
    """Copy the body, or its first bytes; return False if the client left."""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return False
        target.write(message.get("body", b"")[: most - target.tell()])
        if not message.get("more_body") or target.tell() == most:
            return True
