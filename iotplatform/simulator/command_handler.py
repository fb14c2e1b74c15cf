"""How a simulated device executes commands: each one once, however often it is sent."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from iotplatform.simulator.device import SimulatedDevice
from iotplatform.simulator.device_log import upload_log
from iotplatform.simulator.execution_journal import Execution, ExecutionJournal
from iotplatform.simulator.memory import apply

logger = logging.getLogger(__name__)

# The limits of the telemetry interval, in seconds.
SHORTEST_INTERVAL, LONGEST_INTERVAL = 1, 3_600
# Keys that only the device sets.
OWN_KEYS = ("firmware",)
RESTARTS = ("reboot", "update_firmware")
Outcome = dict[str, Any]
Restart = Callable[[SimulatedDevice, float], Awaitable[None]]
Crash = Callable[[SimulatedDevice], None]


class CommandMessage(msgspec.Struct, kw_only=True):
    """A message on ``down/command``."""

    id: UUID
    name: str
    params: dict[str, Any] = {}
    expires_at: datetime | None = None


class DesiredMessage(msgspec.Struct, kw_only=True):
    """A message on ``down/desired``."""

    version: int
    desired: dict[str, Any]
    command_id: UUID | None = None


class CommandHandler:
    """Executes the commands of one device.

    ``restart`` makes it leave and return; ``crash`` does so without a goodbye.
    """

    def __init__(
        self,
        device: SimulatedDevice,
        journal: ExecutionJournal,
        *,
        restart: Restart,
        crash: Crash = lambda device: None,
    ) -> None:
        self.device = device
        self._journal = journal
        self._restart = restart
        self._crash = crash
        self._running: set[str] = set()
        # Results without a PUBACK; they are sent again after the next birth.
        self._unconfirmed: dict[int, tuple[str, Outcome]] = {}
        self._last_unsent = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def receive(self, leaf: str, payload: bytes) -> None:
        """Handle a message from the platform; ignore one that cannot be read."""
        if not payload:
            return  # a retained configuration was cleared
        try:
            if leaf == "command":
                message = msgspec.json.decode(payload, type=CommandMessage)
                self._spawn(self._run_command(message))
            elif leaf == "desired":
                desired = msgspec.json.decode(payload, type=DesiredMessage)
                self._spawn(self._configure(desired))
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            logger.warning("%s cannot read a %s: %s", self.device.uid, leaf, error)

    def confirmed(self, mid: int) -> None:
        """Note that the broker has received a result."""
        self._unconfirmed.pop(mid, None)

    def resend_results(self) -> None:
        """Send the results that may have been lost with the last connection."""
        lost, self._unconfirmed = self._unconfirmed, {}
        for command_id, outcome in lost.values():
            self._send_result(command_id, outcome)

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _run_command(self, message: CommandMessage) -> None:
        command_id = str(message.id)
        if await self._is_repeat(command_id):
            return
        refusal = self._refusal(message)
        if refusal:
            self._acknowledge(command_id, "rejected", refusal)
            return
        await self._execute(command_id, message.name, message.params, version=None)

    async def _configure(self, desired: DesiredMessage) -> None:
        """Apply the desired document; without a command id, send no answers."""
        memory = self.device.memory
        command_id = str(desired.command_id) if desired.command_id else ""
        if command_id and await self._is_repeat(command_id):
            return
        if desired.version <= memory.desired_version and not command_id:
            return
        refusal = _bad_setting(desired.desired)
        if refusal or self.device.profile.is_rejecting:
            if command_id:
                self._acknowledge(command_id, "rejected", refusal or "not_allowed")
            return
        # A configuration without a command id is identified by its version.
        key = command_id or f"desired-{desired.version}"
        settings = {k: v for k, v in desired.desired.items() if k not in OWN_KEYS}
        await self._execute(key, "set_config", settings, version=desired.version)

    def _refusal(self, message: CommandMessage) -> str:
        if message.expires_at is not None and message.expires_at <= datetime.now(UTC):
            return "expired"
        if self.device.profile.is_rejecting:
            return "not_allowed"
        if message.name == "update_firmware":
            if self.device.profile.name == "low_battery":
                return "low_battery"
            version = message.params.get("version")
            if not isinstance(version, str) or not version:
                return "bad_params: version"
        elif message.name not in ("identify", "reboot", "collect_logs"):
            return "unsupported"
        return ""

    async def _is_repeat(self, command_id: str) -> bool:
        """Answer a known command from memory; return whether it was known."""
        if command_id in self._running:
            self._acknowledge(command_id, "received")
            return True
        executed = self.device.memory.executed
        if command_id not in executed:
            return False
        self._acknowledge(command_id, "received")
        outcome = executed[command_id]
        if outcome is not None:
            self._send_result(command_id, outcome)
        return True

    async def _execute(
        self, command_id: str, name: str, params: dict[str, Any], version: int | None
    ) -> None:
        device = self.device
        self._running.add(command_id)
        try:
            await asyncio.sleep(device.draw.uniform(*device.profile.ack_seconds))
            outcome = _outcome(name, params) if device.profile.is_finishing else None
            execution = Execution(
                at=datetime.now(UTC).isoformat(timespec="milliseconds"),
                uid=device.uid,
                id=command_id,
                name=name,
                params=params,
                boot=device.memory.boot,
                outcome=outcome,
                version=version,
            )
            await self._journal.append(
                execution, lambda written: apply(device.memory, written)
            )
            if self._happens(device.profile.crash_share):
                self._crash(device)
                return
            if self._happens(device.profile.late_share):
                await asyncio.sleep(device.profile.late_seconds)
            self._acknowledge(command_id, "received")
            if outcome is None:
                return
            failure = await self._carry_out(command_id, name, params)
            self._send_result(command_id, failure or outcome)
        finally:
            self._running.discard(command_id)

    async def _carry_out(
        self, command_id: str, name: str, params: dict[str, Any]
    ) -> Outcome | None:
        """Do it; return the result only if it failed."""
        device = self.device
        if name != "set_config":
            self._send(f"command/{command_id}/progress", {"payload": {"step": name}})
        await asyncio.sleep(device.draw.uniform(*device.profile.execute_seconds))
        if name in RESTARTS:
            delay = params.get("delay_seconds", 0)
            await self._restart(device, float(delay) if name == "reboot" else 0.0)
        elif name == "set_config":
            device.report()
        elif name == "collect_logs":
            return await asyncio.to_thread(upload_log, device, params)
        return None

    def _acknowledge(
        self,
        command_id: str,
        status: Literal["received", "rejected"],
        reason: str | None = None,
    ) -> None:
        if self._happens(self.device.profile.lost_share):
            return
        body = {"status": status} | ({"reason": reason} if reason else {})
        self._send(f"command/{command_id}/ack", body)

    def _send_result(self, command_id: str, outcome: Outcome) -> None:
        mid = self._send(f"command/{command_id}/result", outcome)
        if mid is None:  # no connection: use a number that no PUBACK can have
            self._last_unsent -= 1
            mid = self._last_unsent
        self._unconfirmed[mid] = (command_id, outcome)

    def _send(self, leaf: str, body: dict[str, Any]) -> int | None:
        if leaf.startswith("command/desired-"):
            return None  # nobody waits for an answer
        is_repeated = self._happens(self.device.profile.repeat_share)
        return self.device.publish(leaf, body, copies=2 if is_repeated else 1)

    def _happens(self, share: float) -> bool:
        return share > 0 and self.device.draw.random() < share

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            logger.error(
                "%s: a command failed", self.device.uid, exc_info=task.exception()
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
