"""The web process hands waiting polls and downloads over to the device process.

Devices use the one address of the platform. The web process reads a poll's head, sends
it with the connection itself over a Unix socket (SCM_RIGHTS), and has its thread back.
The device process answers on that connection and closes it. While no device process
runs, the web process lets a few polls wait in its own threads.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

logger = logging.getLogger(__name__)

POLLS = "/device/v1/commands/?"
DOWNLOADS = "/device/v1/firmware/"
SEND_SECONDS = 2.0
LOOK_SECONDS = 0.5  # how often the receiving thread checks whether it must stop
BACKLOG = 1_024
READ_BYTES = 64 * 1024
# About this connection, or written anew.
LEFT_OUT = frozenset({"HTTP_CONNECTION", "HTTP_KEEP_ALIVE", "HTTP_EXPECT"})


class HandOver:
    """A WSGI application that hands over what may take long, and answers all else."""

    def __init__(self, application: WSGIApplication, path: str) -> None:
        """Without a path, nothing is handed over."""
        self._application = application
        self._path = path

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Answer a request. Raises BrokenPipeError if another process answers it.

        gunicorn reads that as a client that has left, and sends nothing.
        """
        connection = environ.get("gunicorn.socket")
        if (
            self._path
            and may_wait(environ)
            and type(connection) is socket.socket  # not TLS, whose state stays here
            and self._send(connection, head_of(environ))
        ):
            _replace_by_dead_socket(connection)
            raise BrokenPipeError(errno.EPIPE, "handed to the device process")
        return self._application(environ, start_response)

    def _send(self, connection: socket.socket, head: bytes) -> bool:
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
                link.settimeout(SEND_SECONDS)
                link.connect(self._path)
                sent = socket.send_fds(link, [head], [connection.fileno()])
                link.sendall(head[sent:])
        except OSError as error:
            logger.debug("cannot hand a poll over: %s", error)
            return False
        return True


def may_wait(environ: WSGIEnvironment) -> bool:
    """Whether it may take long: a waiting poll, or a download, without a body."""
    target = environ.get("RAW_URI", "")
    return (
        environ["REQUEST_METHOD"] == "GET"
        and (
            target.startswith(DOWNLOADS)
            or (target.startswith(POLLS) and "wait=" in target)
        )
        and environ.get("SERVER_PROTOCOL") in ("HTTP/1.1", "HTTP/1.0")
        and environ.get("CONTENT_LENGTH", "0") in ("", "0")
        and "HTTP_TRANSFER_ENCODING" not in environ
    )


def head_of(environ: WSGIEnvironment) -> bytes:
    """Return the head of the request again, asking to close the connection after it.

    The next request on it may be one for the web process.
    """
    lines = [f"GET {environ['RAW_URI']} {environ['SERVER_PROTOCOL']}"]
    for key, value in environ.items():
        if key.startswith("HTTP_") and key not in LEFT_OUT:
            name = key.removeprefix("HTTP_").replace("_", "-").lower()
            lines.append(f"{name}: {value}")
    return "\r\n".join([*lines, "connection: close", "", ""]).encode("latin-1")


def _replace_by_dead_socket(connection: socket.socket) -> None:
    """Put a closed pair's end in its place: gunicorn shuts down what it has."""
    dead, other = socket.socketpair()
    other.close()
    os.dup2(dead.fileno(), connection.fileno(), inheritable=False)
    dead.close()


class HandedConnections:
    """Receives the connections in a thread of the device process."""

    def __init__(
        self, path: Path, adopt: Callable[[socket.socket, bytes], None]
    ) -> None:
        """``adopt`` gets each connection, and what was read from it already."""
        self._path = path
        self._adopt = adopt
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Listen; only this user's processes may connect."""
        self._path.unlink(missing_ok=True)  # of a process that was killed
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self._listener.bind(str(self._path))
        finally:
            os.umask(before)
        self._listener.listen(BACKLOG)
        self._listener.settimeout(LOOK_SECONDS)
        self._thread.start()

    def stop(self) -> None:
        """Accept no more; polls then wait in the web process, or in a new process."""
        self._stopped.set()
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                link, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError as error:  # too many open files, for example
                logger.error("cannot receive connections: %s", error)
                self._stopped.wait(LOOK_SECONDS)
                continue
            with link:
                link.settimeout(SEND_SECONDS)
                try:
                    self._receive(link)
                except OSError as error:
                    logger.warning("cannot receive a connection: %s", error)

    def _receive(self, link: socket.socket) -> None:
        head, descriptors, _, _ = socket.recv_fds(link, READ_BYTES, 1)
        if not descriptors:
            return
        connection = socket.socket(fileno=descriptors[0])
        try:
            while more := link.recv(READ_BYTES):
                head += more
        except OSError:
            connection.close()
            raise
        self._adopt(connection, head)
