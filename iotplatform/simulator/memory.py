"""What simulated devices remember across their restarts and the simulator's."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import msgspec

from iotplatform.simulator.execution_journal import Execution, ExecutionJournal

# How many command ids a device remembers: more than the platform sends before it stops
# repeating an old one.
REMEMBERED = 256
# After an unclean end we do not know how often devices started since the last save. A
# boot number may be skipped, but must never be used twice.
UNCLEAN_SKIP = 1_000


class Memory(msgspec.Struct, kw_only=True):
    """The flash of one device."""

    boot: int = 0
    firmware: str = ""
    config: dict[str, Any] = {}
    config_version: str = "c0"
    reported_version: int = 0
    desired_version: int = 0
    battery: float = 100.0
    # The outcome of each command id; null while it runs, or if it never ends.
    executed: dict[str, dict[str, Any] | None] = {}

    def remember(self, command_id: str, outcome: dict[str, Any] | None) -> None:
        """Store the outcome of a command, and forget the oldest ones."""
        self.executed[command_id] = outcome
        while len(self.executed) > REMEMBERED:
            del self.executed[next(iter(self.executed))]


class _Saved(msgspec.Struct, kw_only=True):
    is_clean: bool = True
    journal_size: int = 0
    devices: dict[str, Memory] = {}


class DamagedMemory(Exception):
    """The file with the devices' memory cannot be read."""


class Store:
    """The memory of all devices in one file, which is always replaced as a whole."""

    def __init__(self, folder: Path) -> None:
        self.journal = ExecutionJournal(folder / "journal.ndjson")
        self.path = folder / "devices.json"
        saved = self._load()
        self.devices = saved.devices
        if not saved.is_clean:
            for memory in self.devices.values():
                memory.boot += UNCLEAN_SKIP
        if saved.journal_size <= self.journal.size:
            for execution in self.journal.read_from(saved.journal_size):
                memory = self.devices.setdefault(execution.uid, Memory())
                memory.boot = max(memory.boot, execution.boot)
                apply(memory, execution)
        self._write(self._encode(is_clean=False))

    async def save(self) -> None:
        """Replace the file with the devices' present memory."""
        await asyncio.to_thread(self._write, self._encode(is_clean=False))

    def close(self) -> None:
        """Save for the last time, and mark the end as clean."""
        self._write(self._encode(is_clean=True))
        self.journal.close()

    def _encode(self, *, is_clean: bool) -> bytes:
        size = self.journal.size
        return msgspec.json.encode(
            _Saved(is_clean=is_clean, journal_size=size, devices=self.devices)
        )

    def _write(self, data: bytes) -> None:
        new = self.path.with_suffix(".new")
        with new.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(new, self.path)

    def _load(self) -> _Saved:
        try:
            return msgspec.json.decode(self.path.read_bytes(), type=_Saved)
        except FileNotFoundError:
            return _Saved()
        except msgspec.DecodeError as error:
            raise DamagedMemory(
                f"{self.path} is damaged ({error}). Delete it and the journal beside "
                "it to let the devices start again without memory."
            ) from error


def apply(memory: Memory, execution: Execution) -> None:
    """Store an execution, and the changes that it makes when it succeeds."""
    memory.remember(execution.id, execution.outcome)
    if (execution.outcome or {}).get("status") != "succeeded":
        return
    if execution.name == "update_firmware":
        memory.firmware = str(execution.params.get("version", memory.firmware))
    elif execution.name == "set_config":
        memory.config = merge(memory.config, execution.params)
        version = execution.version or 0
        memory.desired_version = max(memory.desired_version, version)
        named = execution.params.get("config_version")
        memory.config_version = str(named or f"c{version}")


def merge(document: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Merge a patch as in RFC 7396: null removes a key."""
    merged = dict(document)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            inner = merged.get(key)
            merged[key] = merge(inner if isinstance(inner, dict) else {}, value)
        else:
            merged[key] = value
    return merged
