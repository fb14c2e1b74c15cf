"""The ASGI application of the device process: polls wait here, views answer the rest.

A waiting poll is a coroutine and a connection: it needs no thread and no database
connection. One thread listens for commands that become due, and one query claims those
of all polls that it wakes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler

from commands.services.adapter_wakeup import COMMANDS_DUE
from iotplatform.adapters.http.batching import Batches
from iotplatform.adapters.http.long_poll import find_with_due
from iotplatform.adapters.http.parse_body import MOST_BYTES
from iotplatform.adapters.http.poll_answer import Polled, Poller, build_answer
from iotplatform.adapters.http.poll_batches import (
    MOST_POLLS,
    Begun,
    Left,
    begin_polls,
    claim_for_polls,
)
from iotplatform.adapters.http.poll_request import PollRequest, parse_poll
from iotplatform.adapters.http.views import ASK_AGAIN_SECONDS
from iotplatform.adapters.http.views_in_threads import ViewsInThreads
from iotplatform.common.problems import CONTENT_TYPE, problem_body
from iotplatform.common.waiting import Waiters

VIEW_THREADS = 8  # each needs a database connection while it runs
ASK_AGAIN = {"retry-after": str(ASK_AGAIN_SECONDS)}


class Wake:
    """Wakes one waiting poll: something is due for it, or its wait is over."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._event = asyncio.Event()
        self.is_over = False

    def set(self) -> None:
        """Say that something is due; called by the checking thread."""
        self._loop.call_soon_threadsafe(self._event.set)

    def end(self) -> None:
        """End the wait."""
        self.is_over = True
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()
        self._event.clear()


class DeviceApplication:
    """Answers what devices send, and holds their waiting polls."""

    def __init__(self) -> None:
        self._views = ViewsInThreads(
            WSGIHandler(),
            threads=VIEW_THREADS,
            longest_body=max(MOST_BYTES, settings.DEVICE_FILE_MAX_BYTES),
        )
        self._begin = Batches[PollRequest, Begun | Left](
            begin_polls, most=MOST_POLLS, name="begin"
        )
        self._claim = Batches[Poller, Polled | None](
            claim_for_polls, most=MOST_POLLS, name="claim"
        )
        self._waiters = Waiters[int](
            channel=COMMANDS_DUE, find_ready=find_with_due, limit="DEVICE_WAITS"
        )
        self._waiting: set[Wake] = set()
        # Of each device, the newest last: it gets the commands. The connection of an
        # earlier one may be dead.
        self._polls: dict[int, list[Wake]] = {}
        self._is_stopping = False

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        """Answer one request."""
        poll = parse_poll(scope)
        begun = await self._begin.submit(poll) if poll else Left.TO_VIEW
        if poll is None or begun is Left.TO_VIEW:
            await self._views(scope, receive, send)
        elif isinstance(begun, Begun):
            await self._answer(poll, begun, receive, send)
        else:
            text = "The database does not answer. Try again in a moment."
            await _send_json(send, 503, problem_body(503, text), ASK_AGAIN)

    def end_waits(self) -> None:
        """Answer all waiting polls now; from now on none waits: the process stops."""
        self._is_stopping = True
        for wake in list(self._waiting):
            wake.end()

    async def _answer(
        self, poll: PollRequest, begun: Begun, receive: Any, send: Any
    ) -> None:
        answer, headers = begun.answer, {}
        if answer is None and poll.wait and not self._is_stopping:
            wake = Wake(asyncio.get_running_loop())
            if self._waiters.add(wake, begun.poller.asks_for):
                answer = await self._wait(wake, poll.wait, begun.poller, receive)
            else:
                headers = ASK_AGAIN
        empty = build_answer([], poll.uid)
        await _send_json(send, 200, answer or empty, headers)

    async def _wait(
        self, wake: Wake, seconds: int, poller: Poller, receive: Any
    ) -> Polled | None:
        """Return as soon as there is an answer; None after the wait."""
        loop = asyncio.get_running_loop()
        self._waiting.add(wake)
        polls = self._polls.setdefault(poller.device_id, [])
        polls.append(wake)
        timer = loop.call_later(seconds, wake.end)
        gone = loop.create_task(_until_gone(receive))
        gone.add_done_callback(lambda _: wake.end())
        try:
            answer = None
            while answer is None and not wake.is_over:
                await wake.wait()
                if not wake.is_over and polls[-1] is wake:
                    answer = await self._claim.submit(poller)
            return answer
        finally:
            self._waiters.remove(wake)
            self._waiting.discard(wake)
            polls.remove(wake)
            if not polls and self._polls.get(poller.device_id) is polls:
                del self._polls[poller.device_id]
            timer.cancel()
            gone.cancel()


async def _until_gone(receive: Any) -> None:
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_json(
    send: Any, status: int, document: Any, headers: Mapping[str, str]
) -> None:
    body = msgspec.json.encode(document)
    kind = CONTENT_TYPE if status >= 400 else "application/json"
    pairs = {"content-type": kind, "content-length": str(len(body)), **headers}
    start = {
        "type": "http.response.start",
        "status": status,
        "headers": [(name.encode(), value.encode()) for name, value in pairs.items()],
    }
    await send(start)
    await send({"type": "http.response.body", "body": body})
