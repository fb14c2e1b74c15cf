"""A Mosquitto broker's device files: write them, reload, and check that they loaded."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from iotplatform.common.broker_rights import device_acl, user_acl
from iotplatform.common.private_files import FileOwner, write_private
from registry.device_secrets import make_verifier

if TYPE_CHECKING:
    from registry.selectors.credentials import BrokerLine

PROBE_USER = "@probe"
LOAD_SECONDS = 8.0
NOBODY = "# No device uses a certificate.\n"
log = logging.getLogger(__name__)


@dataclass
class DeviceFiles:
    """The password and access files of one broker's device listeners.

    ``certificates.acl`` is for a listener where the certificate's common name is the
    user (``use_identity_as_username``): it lists the users with any rights there.

    Each file has a new secret for the user ``@probe``, which only this process knows:
    when the broker accepts it, the broker has read that file.
    """

    folder: Path
    pid_file: Path
    listener: tuple[str, int] | None
    _loaded: tuple[str, str] | None = None
    _owner: FileOwner | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if os.geteuid() == 0:
            # The broker reads the files after it has dropped its rights.
            status = self.folder.stat()
            self._owner = FileOwner(status.st_uid, status.st_gid)

    def publish(
        self, lines: Iterable[BrokerLine], certified: Iterable[str] = ()
    ) -> bool:
        """Put these lines in force; False if the broker has not loaded them yet."""
        body = "".join(f"{line.uid}:{line.verifier}\n" for line in lines)
        by_certificate = "".join(map(user_acl, certified))
        if (body, by_certificate) == self._loaded:
            return True
        self._loaded = None
        probe = secrets.token_urlsafe(32)
        text = f"{body}{PROBE_USER}:{make_verifier(probe)}\n"
        self._write("devices.acl", device_acl())
        self._write("certificates.acl", by_certificate or NOBODY)
        self._write("devices.passwd", text)
        if not self._reload() or not self._wait_until_loaded(probe):
            return False
        self._loaded = (body, by_certificate)
        return True

    def _write(self, name: str, text: str) -> None:
        write_private(self.folder / name, text, owner=self._owner)

    def _reload(self) -> bool:
        """Send SIGHUP to the process of the pid file, if that process still runs."""
        try:
            pid = int(self.pid_file.read_text())
            began = psutil.Process(pid).create_time()
            if began > self.pid_file.stat().st_mtime + 1:
                raise ProcessLookupError(f"process {pid} is not the broker any more")
            os.kill(pid, signal.SIGHUP)
        except (OSError, ValueError, psutil.Error) as error:
            log.warning("The broker is not running (%s): files load later", error)
            return False
        return True

    def _wait_until_loaded(self, secret: str) -> bool:
        if self.listener is None:
            return True
        deadline = time.monotonic() + LOAD_SECONDS
        pause = 0.005
        while time.monotonic() < deadline:
            if may_connect(self.listener, PROBE_USER, secret):
                return True
            time.sleep(pause)
            pause = min(pause * 2, 0.25)
        log.warning(
            "The broker has not loaded the new credentials within %s s", LOAD_SECONDS
        )
        return False


def may_connect(address: tuple[str, int], user: str, secret: str) -> bool:
    """Whether a broker accepts this user's CONNECT (MQTT 3.1.1)."""
    fields = b"".join(
        struct.pack("!H", len(value)) + value
        for value in (user.encode(), user.encode(), secret.encode())
    )
    # Protocol name, level 4; flags: user, password, clean session; 10 s keep-alive.
    body = b"\x00\x04MQTT\x04" + bytes([0b11000010]) + struct.pack("!H", 10) + fields
    try:
        with socket.create_connection(address, timeout=2) as connection:
            connection.sendall(b"\x10" + bytes([len(body)]) + body)
            answer = connection.recv(4)
            if answer == b"\x20\x02\x00\x00":
                connection.sendall(b"\xe0\x00")
                return True
    except OSError:
        pass
    return False
