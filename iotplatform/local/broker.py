"""The embedded MQTT broker: Mosquitto if it is installed, else amqtt; same files."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from iotplatform.common.broker_rights import device_acl, user_acl
from iotplatform.common.private_files import write_private
from iotplatform.local.accounts import Account, account_for, give_folder, run_as
from iotplatform.local.ports import LOOPBACK
from registry.device_secrets import make_verifier

BRIDGE_USER = "@bridge"
CONFIG = """\
# Written at each start by iotplatform/local/broker.py.
per_listener_settings true
pid_file {folder}/broker.pid
log_dest stdout
log_type error
log_type warning
log_type notice
log_timestamp_format %Y-%m-%dT%H:%M:%S
connection_messages false
sys_interval 10

# Save every few seconds: saving after each change would write everything once per
# message. Devices and the platform send again what the broker loses in between.
persistence true
persistence_location {folder}/data/
autosave_interval 2
persistent_client_expiration 14d

# With the defaults, messages are silently dropped if the bridge is slower than devices.
max_queued_messages 0
max_inflight_messages 10000
max_packet_size 1048576
set_tcp_nodelay true

# For devices. The user name is the client id; otherwise a device could take over the
# session of another.
listener {device_port} {host}
allow_anonymous false
use_username_as_clientid true
password_file {folder}/devices.passwd
acl_file {folder}/devices.acl

# For the platform.
listener {platform_port} {host}
allow_anonymous false
password_file {folder}/platform.passwd
acl_file {folder}/platform.acl
"""


def find_mosquitto() -> Path | None:
    """Find the program, also in folders that a normal user's PATH lacks on Debian."""
    if os.environ.get("IOT_BROKER", "") == "amqtt":
        return None
    path = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"
    found = shutil.which("mosquitto", path=path)
    return Path(found) if found else None


@dataclass(frozen=True)
class Broker:
    """A broker with two listeners; ``folder`` belongs to the account that runs it."""

    folder: Path
    device_port: int
    platform_port: int
    password: str
    mosquitto: Path | None
    account: Account | None

    @classmethod
    def at(
        cls,
        folder: Path,
        *,
        device_port: int,
        platform_port: int,
        password: str,
        mosquitto: Path | None,
    ) -> Broker:
        # amqtt runs in our virtual environment, so as the present user.
        account = account_for(folder, "mosquitto", "nobody") if mosquitto else None
        return cls(folder, device_port, platform_port, password, mosquitto, account)

    @property
    def is_stand_in(self) -> bool:
        return self.mosquitto is None

    def prepare(self) -> None:
        """Write all configuration files; keep an existing ``devices.passwd``."""
        give_folder(self.folder, self.account)
        give_folder(self.folder / "data", self.account)
        config = CONFIG.format(
            folder=self.folder,
            host=LOOPBACK,
            device_port=self.device_port,
            platform_port=self.platform_port,
        )
        self._write("mosquitto.conf", config)
        self._write(
            "platform.passwd", f"{BRIDGE_USER}:{make_verifier(self.password)}\n"
        )
        self._write("platform.acl", user_acl(BRIDGE_USER))
        self._write("devices.acl", device_acl())
        if not (self.folder / "devices.passwd").exists():
            self._write("devices.passwd", "")

    def _write(self, name: str, text: str) -> None:
        write_private(self.folder / name, text, owner=self.account)

    def command(self, *, dies_by: str = "") -> list[str]:
        """The command that runs the broker in the foreground."""
        if self.mosquitto is None:
            ports = [str(self.device_port), str(self.platform_port)]
            module = "iotplatform.local.amqtt_broker"
            return [sys.executable, "-m", module, str(self.folder), *ports]
        prefix = run_as(
            self.account, binary=self.mosquitto, folder=self.folder, dies_by=dies_by
        )
        config = str(self.folder / "mosquitto.conf")
        return [*prefix, str(self.mosquitto), "-c", config]

    @property
    def url(self) -> str:
        abilities = (
            "version=3.1.1&share=" if self.is_stand_in else "version=5&share=bridge"
        )
        user = quote(BRIDGE_USER, safe="")
        address = f"{LOOPBACK}:{self.platform_port}"
        return f"mqtt://{user}:{quote(self.password, safe='')}@{address}?{abilities}"
