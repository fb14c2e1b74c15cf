"""The device protocol, version 1: which messages devices may send, and their parser.

``parse`` turns any topic and payload into an ``Uplink``, or raises ``Undecodable``; it
raises nothing else. Unknown fields are ignored, so that a newer device works with an
older platform.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Literal, NoReturn, cast
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from iotplatform.common.ids import UID
from iotplatform.common.storable import storable

MAX_PAYLOAD_BYTES = 64 * 1024
# Deep enough for any configuration that a person can read. PostgreSQL, Python and the
# index all recurse over documents, each up to its own limit.
MAX_DEPTH = 32
MAX_DETAIL = 500

Reason = Literal["bad_topic", "too_large", "empty", "bad_json", "bad_message"]
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


class Telemetry(Message, frozen=True, kw_only=True):
    """Measured values; each metric is a finite number."""

    metrics: Annotated[dict[Name, float], Meta(max_length=256)]


class UncheckedTelemetry(Message, frozen=True, kw_only=True):
    """Telemetry whose metrics are still JSON, each to be checked by itself."""

    metrics: Annotated[dict[str, msgspec.Raw], Meta(max_length=256)]


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


class Uplink(Struct, frozen=True, kw_only=True):
    """One message of one device, parsed and validated."""

    uid: str
    kind: Kind
    message: Message
    at: datetime  # of arrival, UTC
    retained: bool
    adapter: str
    gateway_uid: str | None  # the gateway that relayed it
    command_id: UUID | None
    topic: str
    payload: bytes = b""  # as it arrived, for a dead letter
    left_out: str = ""  # the metrics that cannot be used, each with the reason


class Undecodable(Exception):
    """A message that the protocol does not allow; the detail can be stored as text."""

    def __init__(self, reason: Reason, detail: str, *, uid: str = "") -> None:
        """``uid`` is the device that the topic names, if it names one."""
        self.reason: Reason = reason
        self.detail = storable(detail)[:MAX_DETAIL]  # it quotes the device
        self.uid = uid
        super().__init__(f"{reason}: {self.detail}")


UUID_TEXT = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
TOPIC = re.compile(
    rf"iot/v1/(?:({UID.pattern})/child/)?({UID.pattern})/"
    rf"(?:(status|heartbeat|telemetry|reported|event)"
    rf"|command/({UUID_TEXT})/(ack|progress|result))"
)
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
DECODE = {kind: msgspec.json.Decoder(struct).decode for kind, struct in STRUCTS.items()}
decode_any = msgspec.json.Decoder().decode
decode_unchecked = msgspec.json.Decoder(UncheckedTelemetry).decode
decode_number = msgspec.json.Decoder(float).decode


def parse(
    topic: str,
    payload: bytes | bytearray | memoryview,
    *,
    retained: bool,
    arrived_at: datetime,
    adapter: str,
) -> Uplink:
    """Parse one message; raise ``Undecodable`` for anything the protocol forbids.

    A metric that cannot be used costs only itself: ``left_out`` names it.
    """
    match = TOPIC.fullmatch(topic)
    if match is None:
        _refuse_topic(topic)
    gateway_uid, uid, kind, command_id, answer = match.groups()
    kind = cast(Kind, kind or answer)
    data = bytes(payload)
    try:
        _refuse_payload(data)
        message, left_out = _decode(kind, data)
        if "\\u0000" in _decoded(data) or _may_be_deep(data):
            _refuse_document(decode_any(data))
    except Undecodable as error:
        raise Undecodable(error.reason, error.detail, uid=uid) from None
    except RecursionError:
        raise Undecodable("bad_json", "nested too deeply", uid=uid) from None
    except msgspec.ValidationError as error:
        raise Undecodable("bad_message", _named(str(error)), uid=uid) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Undecodable("bad_json", str(error), uid=uid) from None
    return Uplink(
        uid=uid,
        kind=kind,
        message=message,
        at=arrived_at,
        retained=retained,
        adapter=adapter,
        gateway_uid=gateway_uid,
        command_id=UUID(command_id) if command_id else None,
        topic=topic,
        payload=data,
        left_out=left_out,
    )


def _refuse_payload(data: bytes) -> None:
    if len(data) > MAX_PAYLOAD_BYTES:
        raise Undecodable(
            "too_large", f"{len(data)} bytes, at most {MAX_PAYLOAD_BYTES} are allowed"
        )
    if not data:
        raise Undecodable("empty", "the payload is empty")


def _decode(kind: Kind, data: bytes) -> tuple[Message, str]:
    """Return the message, and the metrics that were left out of it, as text."""
    try:
        return DECODE[kind](data), ""
    except msgspec.ValidationError:
        if kind != "telemetry":
            raise
        unchecked = decode_unchecked(data)
        usable, left_out = _check_metrics(unchecked.metrics)
        if not usable:
            raise
    fields = {name: getattr(unchecked, name) for name in Message.__struct_fields__}
    return Telemetry(metrics=usable, **fields), left_out


def _check_metrics(raws: dict[str, msgspec.Raw]) -> tuple[dict[str, float], str]:
    """Return the usable metrics, and a text that names each other one and why."""
    usable: dict[str, float] = {}
    reasons = []
    for name, raw in raws.items():
        try:
            number = decode_number(raw)
            usable[msgspec.convert(name, Name)] = number
        except msgspec.ValidationError as error:
            what = str(error)
            reasons.append(f"metrics.{name[:64]}: {what[:1].lower()}{what[1:]}")
    return usable, "; ".join(reasons)


def _decoded(data: bytes) -> str:
    """Decode all of it: msgspec does not check the UTF-8 of fields that it skips."""
    return data.decode()


def _may_be_deep(data: bytes) -> bool:
    return data.count(b"{") + data.count(b"[") > MAX_DEPTH


def _refuse_document(document: Any) -> None:
    """Refuse NUL in any string or key, and too deep nesting."""
    level = [document]
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for value in level:
            if isinstance(value, str):
                if "\0" in value:
                    raise Undecodable("bad_message", "a text contains \\u0000")
            elif isinstance(value, dict):
                inner.extend(value)
                inner.extend(value.values())
            elif isinstance(value, list):
                inner.extend(value)
        level = inner
        if not level:
            return
    raise Undecodable(
        "bad_json", f"nested too deeply, at most {MAX_DEPTH} levels are allowed"
    )


def _named(error: str) -> str:
    """Turn msgspec's text into "boot: expected `int`, got `str`"."""
    what, _, where = error.partition(" - at `")
    if what.startswith("Object missing required field"):
        return f"{what.split('`')[1]}: missing"
    field = where.rstrip("`").replace("key` in `", "").removeprefix("$")
    field = field.removeprefix(".").replace("[...]", ".*")
    return f"{field or 'message'}: {what[:1].lower()}{what[1:]}"


def _refuse_topic(topic: str) -> NoReturn:
    """Raise for a bad topic, with the device's uid if the topic names it."""
    parts = topic.split("/")
    if parts[:2] != ["iot", "v1"] or len(parts) < 4:
        raise Undecodable("bad_topic", f"{topic!r} is not iot/v1/{{uid}}/…")
    rest = parts[4:] if parts[3] == "child" and len(parts) > 5 else parts[2:]
    uids = [parts[2], rest[0]]
    for uid in uids:
        if not UID.fullmatch(uid):
            raise Undecodable("bad_topic", f"{uid!r} is not a device's uid")
    if rest[1] == "command" and len(rest) == 4 and not re.fullmatch(UUID_TEXT, rest[2]):
        detail = f"{rest[2]!r} is not a command's id"
    else:
        detail = f"{'/'.join(rest[1:])!r} is not a kind of message"
    raise Undecodable("bad_topic", detail, uid=rest[0])
