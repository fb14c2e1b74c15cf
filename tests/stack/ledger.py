"""A ledger of requests, kills at seeded moments, and a checker of what came of them.

The checker reads the ledger, the database and the journals of the devices: nothing that
the platform says about itself.
"""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
import urllib.error
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from iotplatform.simulator.link import Address
from iotplatform.simulator.targets import Target
from iotplatform.simulator.world import Plan, World
from tests.stack.clients import Api

POLICY = {
    "send_timeout_seconds": 10,
    "receive_timeout_seconds": 5,
    "execute_timeout_seconds": 15,
    "verify_timeout_seconds": 15,
    "attempts": 6,
    "backoff_seconds": 1,
    "expires_in_seconds": 60,
}
# One of each class; a configuration is asked for by a patch.
NAMES = ("identify", "set_config", "update_firmware", "reboot")
GRACE = timedelta(seconds=60)  # after the deadline: then every command has ended
COMMANDS = """
    SELECT c.public_id::text, d.uid, c.status, c.expires_at, c.ended_at, c.sent_at
    FROM commands_command c JOIN registry_device d ON d.id = c.device_id
    WHERE d.uid = ANY(%s) AND c.retry_of_id IS NULL
"""


@dataclass(frozen=True)
class Entry:
    """One request and the answer that it got at last."""

    key: str
    uid: str
    name: str
    status: int
    command_id: str | None


class Ledger:
    """Asks for commands, each with a key, until the platform has answered."""

    def __init__(self, api: Api, *, seed: int) -> None:
        self._api = api
        self._chance = random.Random(f"ledger:{seed}")
        self.entries: list[Entry] = []

    def ask(self, uids: Sequence[str], *, count: int, within: float) -> None:
        """Ask for ``count`` commands, spread over so many seconds."""
        moments = sorted(self._chance.uniform(0, within) for _ in range(count))
        asked = [
            (moment, self._chance.choice(uids), NAMES[number % len(NAMES)], number)
            for number, moment in enumerate(moments)
        ]
        began = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            self.entries += pool.map(lambda each: self._ask(began, *each), asked)

    def _ask(
        self, began: float, moment: float, uid: str, name: str, number: int
    ) -> Entry:
        time.sleep(max(0.0, began + moment - time.monotonic()))
        key = f"ledger-{uuid4()}"
        while True:
            try:
                answer = self._send(key, uid, name, number)
            except (urllib.error.URLError, OSError):
                time.sleep(0.3)  # the web process was killed: the same once more
                continue
            if answer.status < 500:
                body = answer.body if isinstance(answer.body, dict) else {}
                is_made = answer.status in (200, 201)
                made = str(body["id"]) if is_made else None
                return Entry(key, uid, name, answer.status, made)
            time.sleep(0.3)

    def _send(self, key: str, uid: str, name: str, number: int) -> Any:
        params: dict[str, Any] = {}
        if name == "set_config":
            params = {"interval": 60 + number}
        elif name == "update_firmware":
            params = {"version": f"7.0.{number}"}
        body = {"device": uid, "name": name, "params": params, "policy": POLICY}
        return self._api.post("/api/v1/commands/", body, Idempotency_Key=key)


@contextmanager
def simulated(
    targets: Sequence[Target], *, port: int, folder: Path, seed: int
) -> Iterator[World]:
    """Run these devices in a thread; their journal is in the folder."""
    plan = Plan(
        address=Address("127.0.0.1", port),
        key=b"",
        folder=folder,
        seed=seed,
        mix={"unreliable": 1.0},
    )
    world = World(plan)
    loop = asyncio.new_event_loop()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(world.run(targets))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield world
    finally:
        loop.call_soon_threadsafe(world.stop)
        thread.join(timeout=15)


def executions(folder: Path) -> Counter[str]:
    """How often each command was executed, by the journals of the devices."""
    lines = (folder / "journal.ndjson").read_text().splitlines()
    return Counter(json.loads(line)["id"] for line in lines)


def find_faults(
    entries: Sequence[Entry], rows: Sequence[Sequence[Any]], times: Counter[str]
) -> list[str]:
    """Compare; return what is wrong, in words."""
    asked = Counter(e.command_id for e in entries if e.command_id is not None)
    stored = {row[0]: row for row in rows}
    faults = [f"{i}: answered, and not stored" for i in asked.keys() - stored.keys()]
    faults += [f"{i}: stored, and not asked for" for i in stored.keys() - asked.keys()]
    faults += [f"{i}: one command for {n} keys" for i, n in asked.items() if n > 1]
    faults += [f"{i}: executed {n} times" for i, n in times.items() if n > 1]
    faults += [
        f"{i}: executed, and unknown"
        for i in times.keys() - stored.keys()
        if not i.startswith("desired-")
    ]
    for public_id, uid, status, expires_at, ended_at, sent_at in rows:
        who = f"{public_id} on {uid} ({status})"
        if ended_at is None or _is_late(ended_at, expires_at):
            faults.append(f"{who}: not ended {GRACE} after its deadline")
        if status in ("succeeded", "verified") and not times[public_id]:
            faults.append(f"{who}: nothing was executed")
        if times[public_id] and sent_at is None and status == "cancelled":
            faults.append(f"{who}: executed although it was never sent")
    return faults


def _is_late(ended_at: datetime, expires_at: datetime) -> bool:
    return ended_at > expires_at + GRACE
