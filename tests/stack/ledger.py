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
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from iotplatform.simulator.link import Address
from iotplatform.simulator.station import Station
from iotplatform.simulator.targets import Group, Target
from iotplatform.simulator.world import Plan, World
from tests.stack.clients import Answer, Api

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
# Shares of the requests that are made twice with one key, and that are cancelled.
ASKED_TWICE, CANCELLED = 0.2, 0.15
LONGEST_DOUBT = 3.0  # seconds until a request is cancelled
GRACE = timedelta(seconds=60)  # after the deadline: then every command has ended
COMMANDS = """
    SELECT c.public_id::text, d.uid, c.status, c.expires_at, c.ended_at, c.sent_at
    FROM commands_command c JOIN registry_device d ON d.id = c.device_id
    WHERE d.uid = ANY(%s) AND c.retry_of_id IS NULL
"""
CLAIMS = """
    SELECT c.public_id::text, a.number, a.claimed_at
    FROM commands_attempt a JOIN commands_command c ON c.id = a.command_id
    JOIN registry_device d ON d.id = c.device_id WHERE d.uid = ANY(%s)
"""
# A cancelled command may have been answered by its device after that.
AFTER_CANCEL = {"cancelled", "succeeded", "failed", "verified", "superseded"}
# What is on its way arrives within this time, while no process is killed.
ON_ITS_WAY = timedelta(seconds=1.5)


@dataclass(frozen=True)
class Entry:
    """One request and the answers that it got at last."""

    key: str
    uid: str
    name: str
    status: int
    command_id: str | None
    # Of the same request once more.
    repeated_id: str | None = None
    # What became of its cancellation, whether it was still unsent then, and when.
    cancel_status: int = 0
    was_unsent: bool = False
    cancelled_at: datetime | None = None


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
            _Asked(
                number=number,
                moment=moment,
                uid=self._chance.choice(uids),
                name=NAMES[number % len(NAMES)],
                is_repeated=self._chance.random() < ASKED_TWICE,
                doubt=self._chance.uniform(0, LONGEST_DOUBT)
                if self._chance.random() < CANCELLED
                else None,
            )
            for number, moment in enumerate(moments)
        ]
        began = time.monotonic()
        with ThreadPoolExecutor(12) as pool:
            self.entries += pool.map(lambda each: self._ask(began, each), asked)

    def _ask(self, began: float, asked: _Asked) -> Entry:
        time.sleep(max(0.0, began + asked.moment - time.monotonic()))
        key = f"ledger-{uuid4()}"
        answer = self._until_answered("/api/v1/commands/", asked.body, key)
        command_id = _id_of(answer)
        if command_id is None:
            return Entry(key, asked.uid, asked.name, answer.status, None)
        repeated_id = None
        if asked.is_repeated:
            again = self._until_answered("/api/v1/commands/", asked.body, key)
            repeated_id = _id_of(again)
        cancelled = self._cancel(command_id, asked.doubt) if asked.doubt else {}
        return Entry(
            key,
            asked.uid,
            asked.name,
            answer.status,
            command_id,
            repeated_id=repeated_id,
            **cancelled,
        )

    def _cancel(self, command_id: str, doubt: float) -> dict[str, Any]:
        time.sleep(doubt)
        path = f"/api/v1/commands/{command_id}/cancel/"
        try:
            answer = self._api.post(path, {"reason": "doubt"})
        except (urllib.error.URLError, OSError):
            return {}  # cancelled or not: a repeat would not say
        if answer.status >= 500:
            return {}
        is_done = answer.status == 200
        return {
            "cancel_status": answer.status,
            "was_unsent": is_done and answer.body["sent_at"] is None,
            "cancelled_at": datetime.now(UTC),
        }

    def _until_answered(self, path: str, body: Any, key: str) -> Answer:
        while True:
            try:
                answer = self._api.post(path, body, Idempotency_Key=key)
            except (urllib.error.URLError, OSError):
                time.sleep(0.3)  # the web process was killed: the same once more
                continue
            if answer.status < 500:
                return answer
            time.sleep(0.3)


@dataclass(frozen=True)
class _Asked:
    """A request before it is made."""

    number: int
    moment: float
    uid: str
    name: str
    is_repeated: bool
    doubt: float | None

    @property
    def body(self) -> dict[str, Any]:
        params: dict[str, Any] = {}
        if self.name == "set_config":
            params = {"interval": 60 + self.number}
        elif self.name == "update_firmware":
            params = {"version": f"7.0.{self.number}"}
        about = {"device": self.uid, "name": self.name}
        return about | {"params": params, "policy": POLICY}


def _id_of(answer: Answer) -> str | None:
    return str(answer.body["id"]) if answer.status in (200, 201) else None


@dataclass(frozen=True)
class Delivery:
    """A message that reached a device."""

    command_id: str
    attempt: int
    at: datetime


@dataclass
class Fleet:
    """The simulated devices, what they executed, and what reached them."""

    folder: Path
    deliveries: list[Delivery] = field(default_factory=list)

    def executions(self) -> Counter[str]:
        """How often each command was executed, by the journals of the devices."""
        lines = (self.folder / "journal.ndjson").read_text().splitlines()
        return Counter(json.loads(line)["id"] for line in lines)


class _RecordingWorld(World):
    """Records what arrives before the devices see it."""

    def __init__(self, plan: Plan, deliveries: list[Delivery]) -> None:
        super().__init__(plan)
        self._deliveries = deliveries

    def _station(self, group: Group) -> Station:
        station = super()._station(group)
        arrived = station._arrived

        def record(topic: str, payload: bytes) -> None:
            if topic.endswith("/down/command"):
                body = json.loads(payload)
                delivery = Delivery(body["id"], body["attempt"], datetime.now(UTC))
                self._deliveries.append(delivery)
            arrived(topic, payload)

        station._arrived = record  # type: ignore[method-assign]
        return station


@contextmanager
def simulated(
    targets: Sequence[Target],
    *,
    port: int,
    folder: Path,
    seed: int,
    profile: str = "unreliable",
) -> Iterator[Fleet]:
    """Run these devices in a thread; their journal is in the folder."""
    fleet = Fleet(folder)
    plan = Plan(
        address=Address("127.0.0.1", port),
        key=b"",
        folder=folder,
        seed=seed,
        mix={profile: 1.0},
    )
    world = _RecordingWorld(plan, fleet.deliveries)
    loop = asyncio.new_event_loop()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(world.run(targets))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield fleet
    finally:
        loop.call_soon_threadsafe(world.stop)
        thread.join(timeout=15)


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
    for entry in entries:
        faults += _faults_of_answers(entry, stored.get(entry.command_id or ""))
    for public_id, uid, status, expires_at, ended_at, sent_at in rows:
        who = f"{public_id} on {uid} ({status})"
        if ended_at is None or ended_at > expires_at + GRACE:
            faults.append(f"{who}: not ended {GRACE} after its deadline")
        if status in ("succeeded", "verified") and not times[public_id]:
            faults.append(f"{who}: nothing was executed")
        if times[public_id] and sent_at is None and status == "cancelled":
            faults.append(f"{who}: executed although it was never sent")
    return faults


def _faults_of_answers(entry: Entry, row: Sequence[Any] | None) -> Iterator[str]:
    """Compare what the platform answered once with what it stores."""
    if entry.repeated_id not in (None, entry.command_id):
        yield f"{entry.command_id}: the repeat became {entry.repeated_id}"
    if row is None or not entry.cancel_status:
        return
    if entry.cancel_status == 200 and row[2] not in AFTER_CANCEL:
        yield f"{entry.command_id} ({row[2]}): its cancellation was confirmed"
    if entry.cancel_status != 200 and row[2] == "cancelled":
        yield f"{entry.command_id}: cancelled, and that was refused"


def find_late_deliveries(
    entries: Sequence[Entry],
    deliveries: Sequence[Delivery],
    claims: Sequence[tuple[str, int, datetime]],
    *,
    lease: timedelta,
) -> list[str]:
    """Return what reached a device although it must not have left any more.

    Only for times in which nothing delays a message on its way.
    """
    claimed_at = {(public_id, number): at for public_id, number, at in claims}
    unsent = {e.command_id: e.cancelled_at for e in entries if e.was_unsent}
    faults = []
    for delivery in deliveries:
        claimed = claimed_at.get((delivery.command_id, delivery.attempt))
        if claimed is not None and delivery.at > claimed + lease + ON_ITS_WAY:
            faults.append(f"{delivery.command_id}: it left after its lease")
        cancelled = unsent.get(delivery.command_id)
        if cancelled is not None and delivery.at > cancelled + ON_ITS_WAY:
            faults.append(f"{delivery.command_id}: it left after it was cancelled")
    return faults
