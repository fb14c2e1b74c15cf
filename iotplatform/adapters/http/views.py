"""Views for devices: send messages, answer commands, poll for commands."""

from __future__ import annotations

from datetime import UTC, datetime
from time import monotonic
from typing import Any
from uuid import UUID

from django.utils import timezone
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from iotplatform.adapters.http import ingest, poll_answer
from iotplatform.adapters.http.authentication import (
    DeviceAuthentication,
    DeviceCaller,
    DeviceThrottle,
)
from iotplatform.adapters.http.ingest import Ingested
from iotplatform.adapters.http.long_poll import waiters
from iotplatform.adapters.http.openapi import MessageSchema, PollSchema
from iotplatform.adapters.http.parse_body import (
    ADAPTER,
    MOST_BYTES,
    Reading,
    read,
)
from iotplatform.adapters.isolation import ingest_isolated
from iotplatform.common.ids import UID
from iotplatform.common.messages import Kind
from iotplatform.common.problems import BadInput, Conflict, Problem, TooLarge
from iotplatform.common.query_parameters import KnownParametersView, whole_number
from iotplatform.common.waiting import LONGEST_WAIT_SECONDS, lend_connection

ASK_AGAIN_SECONDS = 5  # Retry-After when no more polls may wait


class DeviceView(KnownParametersView):
    """What all views for devices share."""

    authentication_classes = [DeviceAuthentication]
    throttle_classes = [DeviceThrottle]

    @property
    def caller(self) -> DeviceCaller:
        caller: Any = self.request.user
        assert isinstance(caller, DeviceCaller)
        return caller


class MessageView(DeviceView):
    """One kind of message, of the device itself or of a child that it relays."""

    kind: Kind = "heartbeat"  # each path sets its own
    schema = MessageSchema()

    def post(self, request: Request, **path: Any) -> Response:
        """Accept one message or a list; name the bad ones and ingest the good ones."""
        uid, child = self.caller.device.uid, path.get("child")
        if child is not None and not UID.fullmatch(child):
            raise NotFound
        tree = f"iot/v1/{uid}/child/{child}" if child else f"iot/v1/{uid}"
        topic = f"{tree}/{self._branch(**path)}"
        now = datetime.now(UTC)
        # request.body refuses more than 2.5 MB, and buffers everything up to that.
        body = request._request.read(MOST_BYTES + 1)
        reading = read(body, topic=topic, uid=child or uid, at=now)
        letters = ingest_isolated(reading.uplinks, reading.dead, now=now)
        if problem := ingest.problem_of(letters):
            raise problem
        if reading.errors:
            raise _refusal(reading)
        return Response(Ingested(taken=len(reading.uplinks)))

    def _branch(self, **path: Any) -> str:
        return self.kind


class AnswerView(MessageView):
    """A device's answer to a command: ack, progress or result."""

    def _branch(self, **path: Any) -> str:
        command_id: UUID = path["command_id"]
        return f"command/{command_id}/{self.kind}"


class CommandsView(DeviceView):
    """The commands of a device, and of the children of a gateway."""

    schema = PollSchema()

    def get(self, request: Request) -> Response:
        """Return due commands; with ``wait``, as soon as there are some.

        A poll counts as a sign of life. ``desired_version`` says which configuration
        the device has; a newer one is returned even if it was returned before.
        """
        wait = whole_number(request, "wait", most=LONGEST_WAIT_SECONDS) or 0
        known = whole_number(request, "desired_version", most=2**63 - 1)
        device = self.caller.device
        if device.adapter != ADAPTER:
            raise Conflict(
                f"{device.uid} gets its commands over {device.adapter}: its adapter is"
                " not http."
            )
        ingest.ingest_heartbeats([device.uid], now=timezone.now())
        pollers = poll_answer.make_pollers([device], [known])
        deadline = monotonic() + wait
        (found,) = poll_answer.answer_polls(pollers)
        if found is not None or not wait:
            return Response(found or poll_answer.build_answer([], device.uid))
        with waiters.register(pollers[0].asks_for) as event:
            if event is None:
                return Response(
                    poll_answer.build_answer([], device.uid),
                    headers={"Retry-After": str(ASK_AGAIN_SECONDS)},
                )
            while found is None and (left := deadline - monotonic()) > 0:
                lend_connection()
                if event.wait(left):
                    event.clear()
                    (found,) = poll_answer.answer_polls(pollers)
        return Response(found or poll_answer.build_answer([], device.uid))


def _refusal(reading: Reading) -> Problem:
    text = "Some messages are invalid; the others were accepted."
    if not reading.uplinks:
        text = "The message is invalid."
    how = TooLarge if reading.is_too_large and not reading.uplinks else BadInput
    problem = how(text, errors=reading.errors)
    problem.extra["taken"] = len(reading.uplinks)
    return problem
