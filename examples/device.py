"""A whole device in one file: connect, report, and execute each command once.

    pip install paho-mqtt
    python examples/device.py --uid dev-1 --secret … [--host 127.0.0.1] [--port 1883]

It uses version 1 of the device protocol: MQTT, JSON, QoS 1. Read it from the bottom:
`main` builds the device, `Device.run` is its main loop, and the methods above it send
messages and execute commands.

    iot/v1/{uid}/status              birth, goodbye and last will; retained
    iot/v1/{uid}/heartbeat           a sign of life
    iot/v1/{uid}/telemetry           its measurements, also those kept while offline
    iot/v1/{uid}/reported            its firmware and configuration
    iot/v1/{uid}/event               its events (alarms raised and cleared)
    iot/v1/{uid}/command/{id}/…      its responses to a command: ack, progress, result
    iot/v1/{uid}/down/command        a command to execute
    iot/v1/{uid}/down/desired        the configuration to apply; retained
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import random
import secrets
import signal
import sys
import threading
import time
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from paho.mqtt.client import Client, MQTTMessage, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion

HEARTBEAT_SECONDS = 30
HOT = 30.0  # °C: above it the device raises an event
REMEMBERED_COMMANDS = 100
KEPT_READINGS = 10_000  # while offline; the oldest are given up
READINGS_AT_ONCE = 400  # the platform accepts 500, and 64 KiB a message


class Flash:
    """Data that survives a restart: a file that is replaced whole, or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.boot = 0  # grows with each start
        self.version = 0  # of the reported document; grows with each change
        self.firmware = "1.4.2"
        self.config: dict[str, Any] = {"interval": 30}
        self.config_version = "c0"
        self.done: dict[str, dict[str, Any]] = {}  # command id → its result
        if path.exists():
            self.__dict__.update(json.loads(path.read_text()))

    def save(self) -> None:
        kept = {name: value for name, value in vars(self).items() if name != "path"}
        new = self.path.with_suffix(".new")
        with new.open("w") as file:
            json.dump(kept, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)

    def remember(self, command_id: str, result: dict[str, Any]) -> None:
        """Keep a result, so that the same command again is answered, not executed."""
        self.done[command_id] = result
        for old in list(self.done)[:-REMEMBERED_COMMANDS]:
            del self.done[old]
        self.save()


class Device:
    """One device: one connection, one thread for the network, one for the work."""

    def __init__(self, uid: str, secret: str, flash: Flash) -> None:
        self.topic = f"iot/v1/{uid}"
        self.flash = flash
        self.work: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        self.sending = threading.RLock()  # both threads send, one at a time
        self.online = threading.Event()
        self.is_running = True
        self.is_hot = False
        self.kept: deque[dict[str, Any]] = deque(maxlen=KEPT_READINGS)
        self.start()
        # The client id is the uid: the broker allows one connection per device.
        self.client = Client(CallbackAPIVersion.VERSION2, client_id=uid)
        self.client.username_pw_set(uid, secret)
        self.client.on_pre_connect = self.on_pre_connect
        self.client.on_connect = self.on_connect
        self.client.on_disconnect = lambda *_: self.online.clear()
        self.client.on_message = self.on_message
        self.client.reconnect_delay_set(min_delay=1, max_delay=60)

    # Messages. With `boot` and `seq` the platform drops repeated messages; `ts` is our
    # clock, which it does not trust for presence.

    def send(
        self, leaf: str, body: dict[str, Any], *, retain: bool = False
    ) -> MQTTMessageInfo:
        with self.sending:
            self.seq += 1
            stamp = {"ts": now_ms(), "boot": self.flash.boot}
            message = json.dumps(body | stamp | {"seq": self.seq})
            topic = f"{self.topic}/{leaf}"
            return self.client.publish(topic, message, qos=1, retain=retain)

    def send_status(self, status: str) -> MQTTMessageInfo:
        about = {"session": self.session, "heartbeat_seconds": HEARTBEAT_SECONDS}
        return self.send("status", {"status": status} | about, retain=True)

    def report(self) -> None:
        """Report the whole document; (boot, version) puts the reports in order."""
        with self.sending:
            self.flash.version += 1
            self.flash.save()
            document = self.flash.config | {
                "firmware": self.flash.firmware,
                "config_version": self.flash.config_version,
            }
            version = self.flash.version
            self.send("reported", {"version": version, "reported": document})

    def measure(self) -> None:
        temperature = round(random.gauss(21, 3), 1)
        metrics = {"temperature": temperature, "battery": 87}
        if self.online.is_set():
            self.send("telemetry", {"metrics": metrics})
        else:
            self.kept.append({"ts": now_ms(), "metrics": metrics})
        if (temperature > HOT) != self.is_hot:  # only when it changes
            self.is_hot = temperature > HOT
            state = "raised" if self.is_hot else "cleared"
            self.send("event", {"code": "hot", "severity": "warning", "state": state})

    def send_kept(self) -> None:
        """Send what was measured while offline, each reading with its own time."""
        while self.kept:
            count = min(len(self.kept), READINGS_AT_ONCE)
            readings = [self.kept.popleft() for _ in range(count)]
            self.send("telemetry", {"history": readings})

    # The connection. Birth and will carry the same session, new for each connection: a
    # late will of the last connection cannot make us look offline.

    def on_pre_connect(self, client: Client, userdata: Any) -> None:
        self.session = secrets.token_hex(8)
        will = {"status": "offline", "session": self.session, "boot": self.flash.boot}
        client.will_set(f"{self.topic}/status", json.dumps(will), qos=1, retain=True)

    def on_connect(
        self, client: Client, userdata: Any, flags: Any, code: Any, properties: Any
    ) -> None:
        if code.is_failure:
            print(f"the broker refused the connection: {code}", file=sys.stderr)
            return
        print(f"connected, boot {self.flash.boot}, session {self.session}")
        self.send_status("online")
        self.report()
        self.online.set()
        client.subscribe([(f"{self.topic}/down/command", 1)])
        client.subscribe([(f"{self.topic}/down/desired", 1)])

    def on_message(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        """Queue a message from the network; the main thread handles it."""
        try:
            body = json.loads(message.payload or b"null")
        except ValueError:
            body = None
        if isinstance(body, dict):
            self.work.put((message.topic.rpartition("/")[2], body))

    # Commands. The platform sends a command again until we answer, always with the same
    # id: a known id is answered with the stored result.

    def execute(self, command: dict[str, Any]) -> None:
        command_id, name = command["id"], command["name"]
        answers = f"command/{command_id}"
        if command_id in self.flash.done:
            self.send(f"{answers}/ack", {"status": "received"})
            self.send(f"{answers}/result", self.flash.done[command_id])
            return
        action = ACTIONS.get(name)
        if has_passed(command.get("expires_at")):
            self.send(f"{answers}/ack", {"status": "rejected", "reason": "expired"})
        elif action is None:
            self.send(f"{answers}/ack", {"status": "rejected", "reason": "unsupported"})
        else:
            # First on disk, then acknowledged, then executed: after a power cut in
            # between we report the command as interrupted, and never execute it twice.
            interrupted = {"status": "failed", "code": "interrupted"}
            self.flash.remember(command_id, interrupted)
            self.send(f"{answers}/ack", {"status": "received"})
            payload = action(self, command.get("params") or {})
            result = {"status": "succeeded", "payload": payload}
            self.flash.remember(command_id, result)
            self.send(f"{answers}/result", result)

    def configure(self, message: dict[str, Any]) -> None:
        """Apply the desired configuration; retained, so it comes after each connect."""
        command_id = message.get("command_id")
        if command_id in self.flash.done:
            self.send(f"command/{command_id}/ack", {"status": "received"})
            self.send(f"command/{command_id}/result", self.flash.done[command_id])
            return
        if message["version"] < int(self.flash.config_version[1:]):
            return  # an older one, overtaken on its way
        desired = {k: v for k, v in message["desired"].items() if k != "firmware"}
        self.flash.config |= desired
        self.flash.config_version = f"c{message['version']}"
        result = {"status": "succeeded"}
        self.report()
        if command_id:
            self.flash.remember(command_id, result)
            self.send(f"command/{command_id}/ack", {"status": "received"})
            self.send(f"command/{command_id}/result", result)

    def identify(self, params: dict[str, Any]) -> dict[str, Any]:
        print("\a*** here I am ***")
        return {"blinked_seconds": params.get("seconds", 1)}

    def update_firmware(self, params: dict[str, Any]) -> dict[str, Any]:
        """Install a version, and restart with it."""
        self.flash.firmware = params["version"]
        return self.reboot(params)

    def reboot(self, params: dict[str, Any]) -> dict[str, Any]:
        self.leave()
        time.sleep(params.get("delay_seconds", 1))
        self.start()
        self.client.reconnect()
        self.client.loop_start()
        self.online.wait(60)  # the birth first, then the result
        return {"boot": self.flash.boot}

    def handle(self, kind: str, body: dict[str, Any]) -> None:
        """Handle a message of the platform; ignore one that makes no sense."""
        try:
            self.execute(body) if kind == "command" else self.configure(body)
        except (KeyError, TypeError, ValueError) as error:
            print(f"invalid message: {kind} {body}: {error!r}", file=sys.stderr)

    # The main loop.

    def start(self) -> None:
        """Power on: count the boot, and number the messages from one."""
        self.flash.boot += 1
        self.flash.save()
        self.seq = 0
        self.session = ""

    def leave(self) -> None:
        """Disconnect with a goodbye, so that it does not count as a lost connection."""
        if self.online.is_set():
            # Wait for the PUBACK, or the goodbye may be lost with the connection.
            with contextlib.suppress(RuntimeError):
                self.send_status("goodbye").wait_for_publish(2)
        self.client.disconnect()
        self.client.loop_stop()

    def run(self, host: str, port: int) -> None:
        self.client.connect(host, port)
        self.client.loop_start()
        self.online.wait(10)
        heartbeat_at = time.monotonic()
        measured_at = float("-inf")
        while self.is_running:
            now = time.monotonic()
            if now >= heartbeat_at and self.online.is_set():
                self.send("heartbeat", {})
                heartbeat_at = now + HEARTBEAT_SECONDS
            if self.online.is_set():
                self.send_kept()
            if now >= measured_at + float(self.flash.config["interval"]):
                self.measure()
                measured_at = now
            try:
                kind, body = self.work.get(timeout=0.5)
            except queue.Empty:
                continue
            self.handle(kind, body)
        self.leave()


ACTIONS = {
    "identify": Device.identify,
    "update_firmware": Device.update_firmware,
    "reboot": Device.reboot,
}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def has_passed(expires_at: str | None) -> bool:
    if not expires_at:
        return False
    return datetime.fromisoformat(expires_at) <= datetime.now(UTC)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--uid", required=True)
    parser.add_argument(
        "--secret", required=True, help="the secret that the platform showed once"
    )
    parser.add_argument(
        "--flash", type=Path, help="data file; default: device-{uid}.json"
    )
    options = parser.parse_args()
    flash = Flash(options.flash or Path(f"device-{options.uid}.json"))
    device = Device(options.uid, options.secret, flash)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: setattr(device, "is_running", False))
    try:
        device.run(options.host, options.port)
    except OSError as error:
        sys.exit(f"cannot reach {options.host}:{options.port}: {error}")


if __name__ == "__main__":
    main()
