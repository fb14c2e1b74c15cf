"""Choose ports on loopback: the requested one, the last one, or a free one."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from collections.abc import Callable

import psutil

from iotplatform.local.errors import SetupError

LOOPBACK = "127.0.0.1"
TRIES = 100


def is_free(port: int) -> bool:
    """Whether a server can listen on this port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: closing connections of an earlier server do not matter.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port(preferred: int | None = None) -> int:
    """The preferred port if it is free, else any free port."""
    if preferred and is_free(preferred):
        return preferred
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def public_port(
    name: str, wanted: str, default: int, say: Callable[[str], None]
) -> int:
    """The wanted port, or SetupError if it is in use; else the default or the next."""
    if wanted:
        port = _parse(name, wanted)
        if not is_free(port):
            raise SetupError(
                f"{name}: port {port} is in use{_user_of(port)}. Free it, or choose "
                f"another one: {name}={port + 1}."
            )
        return port
    if is_free(default):
        return default
    for port in range(default + 1, default + TRIES):
        if is_free(port):
            user = _user_of(default)
            say(f"Port {default} is in use{user}. {name} is {port} instead.")
            return port
    raise SetupError(f"{name}: no free port from {default} to {default + TRIES - 1}.")


def _parse(name: str, text: str) -> int:
    try:
        port = int(text)
    except ValueError:
        port = 0
    if not 1 <= port <= 65535:
        raise SetupError(f"{name}: {text!r} is not a port number (1 to 65535).")
    return port


def _user_of(port: int) -> str:
    """The process that listens on a port, if we may see it."""
    try:
        for entry in psutil.net_connections(kind="tcp"):
            listens = entry.status == psutil.CONN_LISTEN and entry.laddr
            if listens and entry.laddr.port == port and entry.pid:
                return f" by {psutil.Process(entry.pid).name()} (process {entry.pid})"
    except (psutil.Error, OSError):
        pass  # we may not be allowed to see other users' sockets
    return ""


def answers(host: str, port: int, timeout: float = 2.0) -> bool:
    """Whether something accepts connections at this address."""
    try:
        with socket.create_connection((host, port), timeout=timeout):
            return True
    except OSError:
        return False


def missing_parts(url: str) -> str | None:
    """The text of a readiness page that reports missing parts; empty for 200.

    None if no page came.
    """
    try:
        with urllib.request.urlopen(url, timeout=5):
            return ""
    except urllib.error.HTTPError as error:
        return error.read(2000).decode(errors="replace")
    except OSError:
        return None
