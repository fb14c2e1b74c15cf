"""How a simulated device takes commands: once each, whatever is sent how often."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from iotplatform.simulator.device import Unit
from iotplatform.simulator.execution_journal import Execution, Journal
from iotplatform.simulator.memory import apply

logger = logging.getLogger(__name__)

# The interval that a device can be set to, in seconds.
SHORTEST_INTERVAL, LONGEST_INTERVAL = 1, 3_600
# What a device says of itself, and nobody sets.
OWN_KEYS = ("firmware",)
RESTARTS = ("reboot", "update_firmware")
Outcome = dict[str, Any]
Restart = Callable[[Unit, float], Awaitable[None]]


class Order(msgspec.Struct, kw_only=True):
    """What comes on ``down/command``."""

    id: UUID
    name: str
    params: dict[str, Any] = {}
    expires_at: datetime | None = None


class Desired(msgspec.Struct, kw_only=True):
    """What comes on ``down/desired``."""

    version: int
    desired: dict[str, Any]
    command_id: UUID | None = None


class Obedience:
    """Takes the commands of one unit; ``restart`` makes it go away and come back."""

    def __init__(self, unit: Unit, journal: Journal, *, restart: Restart) -> None:
        self.unit = unit
        self._journal = journal
        self._restart = restart
        self._running: set[str] = set()
        # Answers that no PUBACK has confirmed; a lost one is said again at birth.
        self._unconfirmed: dict[int, tuple[str, Outcome]] = {}
        self._last_unsent = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, leaf: str, payload: bytes) -> None:
        """Take a message from the platform; what cannot be read is ignored."""
        if not payload:
            return  # a retained configuration was cleared
        try:
            if leaf == "command":
                order = msgspec.json.decode(payload, type=Order)
                self._spawn(self._obey(order))
            elif leaf == "desired":
                desired = msgspec.json.decode(payload, type=Desired)
                self._spawn(self._configure(desired))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            logger.warning("%s cannot read a %s: %s", self.unit.uid, leaf, error)

    def confirmed(self, mid: int) -> None:
        """The broker has taken an answer."""
        self._unconfirmed.pop(mid, None)

    def answer_again(self) -> None:
        """Say what may have been lost with the last connection."""
        lost, self._unconfirmed = self._unconfirmed, {}
        for command_id, outcome in lost.values():
            self._say_outcome(command_id, outcome)

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _obey(self, order: Order) -> None:
        command_id = str(order.id)
        if await self._is_repeat(command_id):
            return
        refusal = self._refusal(order)
        if refusal:
            self._acknowledge(command_id, "rejected", refusal)
            return
        await self._execute(command_id, order.name, order.params, version=None)

    async def _configure(self, desired: Desired) -> None:
        """Make the desired document true; without a command id, quietly."""
        memory = self.unit.memory
        command_id = str(desired.command_id) if desired.command_id else ""
        if command_id and await self._is_repeat(command_id):
            return
        if desired.version <= memory.desired_version and not command_id:
            return
        refusal = _bad_setting(desired.desired)
        if refusal or self.unit.profile.is_rejecting:
            if command_id:
                self._acknowledge(command_id, "rejected", refusal or "not_allowed")
            return
        # The id of a configuration that nobody waits for is its version.
        key = command_id or f"desired-{desired.version}"
        settings = {k: v for k, v in desired.desired.items() if k not in OWN_KEYS}
        await self._execute(key, "set_config", settings, version=desired.version)

    def _refusal(self, order: Order) -> str:
        if order.expires_at is not None and order.expires_at <= datetime.now(UTC):
            return "expired"
        if self.unit.profile.is_rejecting:
            return "not_allowed"
        if order.name == "update_firmware":
            if self.unit.profile.name == "low_battery":
                return "low_battery"
            version = order.params.get("version")
            if not isinstance(version, str) or not version:
                return "bad_params: version"
        elif order.name not in ("identify", "reboot"):
            return "unsupported"
        return ""

    async def _is_repeat(self, command_id: str) -> bool:
        """Answer a command that is known already from memory."""
        if command_id in self._running:
            self._acknowledge(command_id, "received")
            return True
        executed = self.unit.memory.executed
        if command_id not in executed:
            return False
        self._acknowledge(command_id, "received")
        outcome = executed[command_id]
        if outcome is not None:
            self._say_outcome(command_id, outcome)
        return True

    async def _execute(
        self, command_id: str, name: str, params: dict[str, Any], version: int | None
    ) -> None:
        unit = self.unit
        self._running.add(command_id)
        try:
            await asyncio.sleep(unit.draw.uniform(*unit.profile.ack_seconds))
            outcome = _outcome(name, params) if unit.profile.is_finishing else None
            execution = Execution(
                at=datetime.now(UTC).isoformat(timespec="milliseconds"),
                uid=unit.uid,
                id=command_id,
                name=name,
                params=params,
                boot=unit.memory.boot,
                outcome=outcome,
                version=version,
            )
            await self._journal.append(
                execution, lambda written: apply(unit.memory, written)
            )
            self._acknowledge(command_id, "received")
            if outcome is None:
                return
            await self._carry_out(command_id, name, params)
            self._say_outcome(command_id, outcome)
        finally:
            self._running.discard(command_id)

    async def _carry_out(
        self, command_id: str, name: str, params: dict[str, Any]
    ) -> None:
        unit = self.unit
        if name != "set_config":
            self._say(f"command/{command_id}/progress", {"payload": {"step": name}})
        await asyncio.sleep(unit.draw.uniform(*unit.profile.execute_seconds))
        if name in RESTARTS:
            delay = params.get("delay_seconds", 0)
            await self._restart(unit, float(delay) if name == "reboot" else 0.0)
        elif name == "set_config":
            unit.report()

    def _acknowledge(
        self,
        command_id: str,
        status: Literal["received", "rejected"],
        reason: str | None = None,
    ) -> None:
        body = {"status": status} | ({"reason": reason} if reason else {})
        self._say(f"command/{command_id}/ack", body)

    def _say_outcome(self, command_id: str, outcome: Outcome) -> None:
        mid = self._say(f"command/{command_id}/result", outcome)
        if mid is None:  # without a connection: a number that no PUBACK has
            self._last_unsent -= 1
            mid = self._last_unsent
        self._unconfirmed[mid] = (command_id, outcome)

    def _say(self, leaf: str, body: dict[str, Any]) -> int | None:
        if leaf.startswith("command/desired-"):
            return None  # nobody waits for an answer
        return self.unit.say(leaf, body)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            logger.error(
                "%s: a command failed", self.unit.uid, exc_info=task.exception()
            )


def _outcome(name: str, params: dict[str, Any]) -> Outcome:
    payload: dict[str, Any] = {}
    if name == "identify":
        payload = {"blinked_seconds": params.get("seconds", 5)}
    elif name == "update_firmware":
        payload = {"firmware": params["version"]}
    return {"status": "succeeded", "payload": payload}


def _bad_setting(desired: dict[str, Any]) -> str:
    interval = desired.get("interval")
    if interval is None:
        return ""
    is_number = isinstance(interval, int | float) and not isinstance(interval, bool)
    if is_number and SHORTEST_INTERVAL <= interval <= LONGEST_INTERVAL:
        return ""
    return f"interval: {SHORTEST_INTERVAL} to {LONGEST_INTERVAL} seconds"
