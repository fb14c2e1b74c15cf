"""A whole device over HTTP in one file, with only Python's standard library.

    python examples/http_device.py --url http://127.0.0.1:8000 --uid dev-1 --secret …

The device must be registered with the adapter ``http``. It reports itself, asks for
commands with a long poll (which is also a sign of life), and does not execute a command
twice. The messages are the same as in `examples/device.py`.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RETRY_SECONDS = 5.0  # pause while the platform does not answer
REMEMBERED_COMMANDS = 100


class Device:
    """One device: it polls, executes, and stores its results in a file."""

    wait_seconds = 30

    def __init__(self, url: str, uid: str, secret: str, memory: Path) -> None:
        self.base = f"{url.rstrip('/')}/device/v1"
        self.authorization = f"Device {uid}:{secret}"
        self.memory = memory
        self.kept: dict[str, Any] = {"boot": 0, "version": 0, "desired": 0, "done": {}}
        if memory.exists():
            self.kept |= json.loads(memory.read_text())
        self.config: dict[str, Any] = self.kept.setdefault("config", {"interval": 30})
        self.kept["boot"] += 1
        self.seq = 0
        self.save()

    def save(self) -> None:
        """Replace the whole file, or nothing."""
        new = self.memory.with_suffix(".new")
        new.write_text(json.dumps(self.kept))
        new.replace(self.memory)

    def call(self, path: str, body: Any = None) -> tuple[dict[str, Any], float]:
        """GET, or POST a message; return the answer and the pause it asks for."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.base}/{path}", data)
        request.add_header("Authorization", self.authorization)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=self.wait_seconds + 10) as answer:
            return json.load(answer), float(answer.headers.get("Retry-After", 0))

    def send(self, path: str, **body: Any) -> None:
        """Send one message; by its number the platform recognises a repeat."""
        self.seq += 1
        self.call(f"{path}/", {"boot": self.kept["boot"], "seq": self.seq, **body})

    def report(self) -> None:
        """Report the whole document."""
        self.kept["version"] += 1
        self.save()
        document = {"firmware": "1.4.2", **self.config}
        self.send("reported", version=self.kept["version"], reported=document)

    def execute(self, command: dict[str, Any]) -> None:
        """Execute a command once; a repeat is answered with the first result."""
        command_id, name, params = command["id"], command["name"], command["params"]
        about, done = f"commands/{command_id}", self.kept["done"]
        if command_id not in done:
            if has_passed(command["expires_at"]):
                self.send(f"{about}/ack", status="rejected", reason="expired")
                return
            if name not in ACTIONS:
                self.send(f"{about}/ack", status="rejected", reason="unsupported")
                return
            # Stored before it runs: after a power cut it does not run again.
            self.remember(command_id, {"status": "failed", "code": "interrupted"})
            self.send(f"{about}/ack", status="received")
            ACTIONS[name](self, params)
            self.remember(command_id, {"status": "succeeded", "payload": params})
            print("executed", name, params, flush=True)
        else:
            self.send(f"{about}/ack", status="received")
        self.send(f"{about}/result", **done[command_id])

    def remember(self, command_id: str, result: dict[str, Any]) -> None:
        """Keep what to answer when this command comes again."""
        done = self.kept["done"]
        done[command_id] = result
        for old in list(done)[:-REMEMBERED_COMMANDS]:
            del done[old]
        self.save()

    def identify(self, params: dict[str, Any]) -> None:
        print("here I am", flush=True)

    def collect_logs(self, params: dict[str, Any]) -> None:
        self.upload(params["upload"])

    def upload(self, link: dict[str, Any]) -> None:
        """Upload the log: here, the commands that it executed."""
        log = "".join(f"executed {name}\n" for name in self.kept["done"]).encode()
        log = log[-link["max_bytes"] :] or b"nothing executed yet\n"
        request = urllib.request.Request(link["url"], log, method=link["method"])
        request.add_header("Content-Type", "text/plain")
        urllib.request.urlopen(request, timeout=60).close()

    def configure(self, desired: dict[str, Any]) -> None:
        """Apply a configuration, send the result, and report the document."""
        command_id, done = desired["command_id"], self.kept["done"]
        if command_id not in done:
            if desired["version"] < self.kept["desired"]:
                return  # an older one, overtaken on its way
            self.config.update(desired["desired"])
            self.kept["desired"] = desired["version"]
            self.save()
            if command_id is not None:
                self.remember(command_id, {"status": "succeeded"})
        if command_id is not None:
            self.send(f"commands/{command_id}/ack", status="received")
            self.send(f"commands/{command_id}/result", **done[command_id])
        self.report()
        print("configured", self.config, flush=True)

    def run(self) -> None:
        """Come online, and poll for ever."""
        self.send("status", status="online", heartbeat_seconds=2 * self.wait_seconds)
        self.report()
        while True:
            version = self.kept["desired"]
            query = f"wait={self.wait_seconds}&desired_version={version}"
            answer, pause_seconds = self.call(f"commands/?{query}")
            for command in answer["commands"]:
                self.execute(command)
            if answer["desired"] is not None:
                self.configure(answer["desired"])
            time.sleep(pause_seconds)


ACTIONS = {"identify": Device.identify, "collect_logs": Device.collect_logs}


def has_passed(expires_at: str) -> bool:
    return datetime.fromisoformat(expires_at) <= datetime.now(UTC)


def main() -> None:
    """Run until stopped; after a lost connection, try again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--uid", required=True)
    parser.add_argument("--secret", required=True)
    parser.add_argument("--memory", type=Path, default=Path("http_device.json"))
    parser.add_argument("--wait", type=int, default=30, help="seconds of each poll")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    device = Device(given.url, given.uid, given.secret, given.memory)
    device.wait_seconds = given.wait
    while True:
        try:
            device.run()
        except (OSError, ValueError) as error:  # HTTP errors are OSErrors
            if isinstance(error, urllib.error.HTTPError) and error.code == 401:
                sys.exit("the platform does not know this device or its secret")
            print("the platform does not answer:", error, flush=True)
            time.sleep(RETRY_SECONDS)


if __name__ == "__main__":
    main()
