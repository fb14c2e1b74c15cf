"""Run a function in a thread once for all items that came while it ran before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batches(Generic[Item, Result]):
    """One batch runs at a time; under load the batches grow by themselves."""

    def __init__(
        self, run: Callable[[Sequence[Item]], Sequence[Result]], *, most: int, name: str
    ) -> None:
        """``run`` returns one result for each item, in the same order."""
        self._run = run
        self._most = most
        self._pool = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._queue: list[tuple[Item, asyncio.Future[Result]]] = []
        self._worker: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Result:
        """Return the item's result; raises what ``run`` raised."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._queue.append((item, future))
        if self._worker is None:
            self._worker = loop.create_task(self._work())
        return await future

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._queue:
            batch, self._queue = self._queue[: self._most], self._queue[self._most :]
            items = [item for item, _ in batch]
            try:
                results = await loop.run_in_executor(self._pool, self._run, items)
            except Exception as error:
                _settle(batch, error)
            else:
                for (_, future), result in zip(batch, results, strict=True):
                    if not future.done():  # its request may have been cancelled
                        future.set_result(result)
        self._worker = None


def _settle(
    batch: Sequence[tuple[Item, asyncio.Future[Result]]], error: Exception
) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
