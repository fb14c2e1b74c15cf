"""A real broker with our configuration, and standard clients for it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from iotplatform.common.private_files import write_private
from iotplatform.local.accounts import dying_with_parent
from iotplatform.local.broker import BRIDGE_USER, Broker, find_mosquitto
from iotplatform.local.ports import answers, free_port
from registry.device_secrets import make_verifier
from tests.waiting import PATIENCE, wait_until

BASE = Path(__file__).resolve().parent.parent


class BrokerProcess:
    """Mosquitto, or amqtt in its place, on free ports in its own folder."""

    def __init__(self, *, is_stand_in: bool = False) -> None:
        self._parent = Path(tempfile.mkdtemp(prefix="iot-broker-"))
        self._parent.chmod(0o711)
        self.broker = Broker.at(
            self._parent / "broker",
            device_port=free_port(),
            platform_port=free_port(),
            password="bridge-secret",
            mosquitto=None if is_stand_in else find_mosquitto(),
        )
        self._secrets: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self.broker.prepare()

    @property
    def folder(self) -> Path:
        return self.broker.folder

    @property
    def port(self) -> int:
        """The port for devices."""
        return self.broker.device_port

    @property
    def url(self) -> str:
        """The value for MQTT_URL."""
        return self.broker.url

    def start(self) -> None:
        with (self._parent / "log").open("a") as log:
            self._process = subprocess.Popen(
                self.broker.command(dies_by="TERM"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=BASE,
                preexec_fn=dying_with_parent(signal.SIGTERM),
                start_new_session=True,
            )
        for port in (self.broker.device_port, self.broker.platform_port):
            wait_until(
                lambda p=port: answers("127.0.0.1", p),  # type: ignore[misc]
                what="the broker listens",
            )

    def log(self) -> str:
        return (self._parent / "log").read_text(errors="replace")

    def add_device(self, uid: str, secret: str = "secret") -> str:
        """Give a device a secret; it works once the broker has reread the file."""
        self._secrets[uid] = secret
        self._publish_secrets()
        return secret

    def add_devices(self, secrets: dict[str, str]) -> None:
        """Give many devices their secrets, with one reload."""
        self._secrets |= secrets
        self._publish_secrets()

    def remove_device(self, uid: str) -> None:
        del self._secrets[uid]
        self._publish_secrets()

    def _publish_secrets(self) -> None:
        lines = [
            f"{uid}:{make_verifier(secret)}\n" for uid, secret in self._secrets.items()
        ]
        path = self.folder / "devices.passwd"
        write_private(path, "".join(lines), owner=self.broker.account)
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    def pause(self) -> None:
        """Stop the process until ``resume``."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """Send SIGKILL; unsaved data is lost."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def publish(
        self, uid: str, topic: str, message: str, *options: str, secret: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run `mosquitto_pub` as a device."""
        words = ["mosquitto_pub", *self._as(uid, secret), "-t", topic, "-m", message]
        return subprocess.run(
            [*words, *options],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def subscribe(self, uid: str, topic: str, *options: str) -> subprocess.Popen[str]:
        """Run `mosquitto_sub` as a device or the bridge, until it has subscribed."""
        words = ["stdbuf", "-oL", "mosquitto_sub", *self._as(uid, "")]
        process = subprocess.Popen(
            [*words, "-d", "-F", "got %t %p", "-t", topic, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            bufsize=1,
            env=os.environ | {"LC_ALL": "C.UTF-8"},
        )
        assert process.stdout is not None
        for line in process.stdout:
            if "SUBACK" in line or "error" in line.lower():
                break
        return process

    def _as(self, user: str, secret: str) -> list[str]:
        secret = secret or self._secrets.get(user, "bridge-secret")
        is_ours = user == BRIDGE_USER
        port = self.broker.platform_port if is_ours else self.broker.device_port
        client = f"{user}-{os.urandom(4).hex()}" if is_ours else user
        words = ["-h", "127.0.0.1", "-p", str(port), "-q", "1", "-i", client]
        return [*words, "-u", user, "-P", secret]

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self._parent, ignore_errors=True)
