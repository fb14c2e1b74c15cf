"""The journal of executions: on disk before a device acknowledges a command."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

# Longer than any line: params fit in an MQTT message.
TAIL_BYTES = 1024 * 1024


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """One command that a device began to execute, and its future outcome."""

    at: str
    uid: str
    id: str
    name: str
    params: dict[str, Any]
    boot: int
    # Null for a device that never finishes.
    outcome: dict[str, Any] | None = None
    # For a configuration: the desired version that it applies.
    version: int | None = None


@dataclass(frozen=True)
class _Entry:
    execution: Execution
    on_disk: Callable[[Execution], None]
    done: asyncio.Future[None]


class ExecutionJournal:
    """An append-only file of executions; simultaneous appends share one fsync."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("ab")
        _cut_torn_line(path)
        # Bytes whose executions are on disk and were passed to their ``on_disk``.
        self.size = path.stat().st_size
        self._waiting: list[_Entry] = []
        self._writer: asyncio.Task[None] | None = None

    def read_from(self, offset: int) -> Iterator[Execution]:
        """Yield the executions that were written after ``offset``."""
        decode = msgspec.json.Decoder(Execution).decode
        with self.path.open("rb") as file:
            file.seek(offset)
            yield from (decode(line) for line in file)

    async def append(
        self, execution: Execution, on_disk: Callable[[Execution], None]
    ) -> None:
        """Write the execution to disk, call ``on_disk``, and return.

        ``on_disk`` and ``size`` change in one step, so that a save always has both the
        effects of the execution and the matching size, or neither.
        """
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(_Entry(execution, on_disk, done))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        await done

    def close(self) -> None:
        self._file.close()

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            lines = b"".join(msgspec.json.encode(e.execution) + b"\n" for e in batch)
            try:
                await asyncio.to_thread(self._write_through, lines)
            except OSError as error:
                for entry in batch:
                    if not entry.done.done():
                        entry.done.set_exception(error)
                continue
            self.size += len(lines)
            for entry in batch:
                entry.on_disk(entry.execution)
                if not entry.done.done():
                    entry.done.set_result(None)

    def _write_through(self, lines: bytes) -> None:
        self._file.write(lines)
        self._file.flush()
        os.fsync(self._file.fileno())


def _cut_torn_line(path: Path) -> None:
    """Remove a partial line that a kill left: no answer was sent for it."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = max(0, size - TAIL_BYTES)
        file.seek(start)
        tail = file.read()
    if tail and not tail.endswith(b"\n"):
        os.truncate(path, start + tail.rfind(b"\n") + 1)
