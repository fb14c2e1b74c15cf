"""The messages that devices may send, version 1 of the protocol, as structs.

``docs/protocol.md`` describes them for people who build devices.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

MAX_METRICS = 256  # of a message, and of an entry of its history
MAX_ENTRIES = 500  # of a history

Kind = Literal[
    "status", "heartbeat", "telemetry", "reported", "event", "ack", "progress", "result"
]

BigInt = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
Text = Annotated[str, Meta(max_length=2_000)]


class Message(Struct, frozen=True, kw_only=True):
    """The fields that every uplink message may have."""

    ts: BigInt | None = None  # ms since the epoch, by the device's clock
    boot: BigInt | None = None
    seq: BigInt | None = None


class Status(Message, frozen=True, kw_only=True):
    """Birth (online), goodbye, last will (offline), or sleeping until a time."""

    status: Literal["online", "goodbye", "offline", "sleeping"]
    session: Name | None = None
    heartbeat_seconds: Annotated[int, Meta(ge=1, le=86_400)] | None = None
    until: BigInt | None = None  # ms since the epoch


class Heartbeat(Message, frozen=True, kw_only=True):
    """A sign of life."""


Metrics = Annotated[dict[Name, float], Meta(max_length=MAX_METRICS)]


class HistoryEntry(Struct, frozen=True):
    """Values that the device measured earlier, and when by its own clock."""

    ts: BigInt  # ms since the epoch
    metrics: Metrics


class Telemetry(Message, frozen=True, kw_only=True):
    """Measured values: those of now, and those that were kept while offline.

    Each metric is a finite number. At least one of both fields must be there.
    """

    metrics: Metrics = msgspec.field(default_factory=dict)
    history: Annotated[list[HistoryEntry], Meta(max_length=MAX_ENTRIES)] = (
        msgspec.field(default_factory=list)
    )


class Reported(Message, frozen=True, kw_only=True):
    """The complete reported document, and its version."""

    version: BigInt
    reported: dict[str, Any]


class Event(Message, frozen=True, kw_only=True):
    """A condition that the device noticed: raised, or cleared again."""

    code: Name
    severity: Literal["info", "warning", "critical"]
    state: Literal["raised", "cleared"]
    message: Text | None = None


class Acknowledgement(Message, frozen=True, kw_only=True):
    """The device has the command; ``rejected`` and ``deferred`` may say why."""

    status: Literal["received", "accepted", "rejected", "deferred"]
    reason: Text | None = None
    until: BigInt | None = None  # ms since the epoch, for ``deferred``


class Progress(Message, frozen=True, kw_only=True):
    """The device has begun; the payload says how far it is, in any form."""

    payload: dict[str, Any] | None = None


class Result(Message, frozen=True, kw_only=True):
    """The outcome of executing the command."""

    status: Literal["succeeded", "failed"]
    code: Name | int | None = None
    payload: Any = None


STRUCTS: dict[Kind, type[Message]] = {
    "status": Status,
    "heartbeat": Heartbeat,
    "telemetry": Telemetry,
    "reported": Reported,
    "event": Event,
    "ack": Acknowledgement,
    "progress": Progress,
    "result": Result,
}
