"""The device protocol, version 1: which messages devices may send, and their parser.

``parse`` turns any topic and payload into an ``Uplink``, or raises ``Undecodable``; it
raises nothing else. Unknown fields are ignored, so that a newer device works with an
older platform.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, NoReturn, cast
from uuid import UUID

import msgspec
from msgspec import Struct

from iotplatform.common.ids import UID
from iotplatform.common.message_faults import (
    MAX_DETAIL,
    Fault,
    as_text,
    decode_fields,
    fault_of,
)
from iotplatform.common.message_structs import (
    STRUCTS,
    Acknowledgement,
    Event,
    Heartbeat,
    HistoryEntry,
    Kind,
    Message,
    Progress,
    Reported,
    Result,
    Status,
    Telemetry,
)
from iotplatform.common.storable import storable
from iotplatform.common.telemetry_parsing import parse_telemetry

__all__ = [
    "STRUCTS",
    "Acknowledgement",
    "Event",
    "Heartbeat",
    "HistoryEntry",
    "Kind",
    "Message",
    "Progress",
    "Reported",
    "Result",
    "Status",
    "Telemetry",
    "Undecodable",
    "Uplink",
    "parse",
]

MAX_PAYLOAD_BYTES = 64 * 1024
# Deep enough for any configuration that a person can read. PostgreSQL, Python and the
# index all recurse over documents, each up to its own limit.
MAX_DEPTH = 32

Reason = Literal["bad_topic", "too_large", "empty", "bad_json", "bad_message"]


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
    left_out: str = ""  # metrics and entries that cannot be used, with the reasons


class Undecodable(Exception):
    """A message that the protocol does not allow; the detail can be stored as text."""

    def __init__(
        self,
        reason: Reason,
        detail: str = "",
        *,
        uid: str = "",
        faults: Sequence[Fault] = (),
    ) -> None:
        """``uid`` is the device that the topic names; ``faults`` has each bad field."""
        self.reason: Reason = reason
        # It quotes the device.
        self.detail = storable(detail or as_text(faults))[:MAX_DETAIL]
        self.uid = uid
        self.faults = faults
        super().__init__(f"{reason}: {self.detail}")


UUID_TEXT = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"
TOPIC = re.compile(
    rf"iot/v1/(?:({UID.pattern})/child/)?({UID.pattern})/"
    rf"(?:(status|heartbeat|telemetry|reported|event)"
    rf"|command/({UUID_TEXT})/(ack|progress|result))"
)
DECODE = {kind: msgspec.json.Decoder(struct).decode for kind, struct in STRUCTS.items()}
decode_any = msgspec.json.Decoder().decode


def parse(
    topic: str,
    payload: bytes | bytearray | memoryview,
    *,
    retained: bool,
    arrived_at: datetime,
    adapter: str,
) -> Uplink:
    """Parse one message; raise ``Undecodable`` for anything the protocol forbids.

    A metric or entry that cannot be used costs only itself: ``left_out`` names it.
    """
    match = TOPIC.fullmatch(topic)
    if match is None:
        _refuse_topic(topic)
    gateway_uid, uid, kind, command_id, answer = match.groups()
    kind = cast(Kind, kind or answer)
    data = bytes(payload)
    try:
        _refuse_payload(data)
        message, left_out = _decode(kind, data, arrived_at)
        if "\\u0000" in _decoded(data) or _may_be_deep(data):
            _refuse_document(decode_any(data))
    except Undecodable as error:
        error.uid = uid
        raise
    except RecursionError:
        raise Undecodable("bad_json", "nested too deeply", uid=uid) from None
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


def _decode(kind: Kind, data: bytes, arrived_at: datetime) -> tuple[Message, str]:
    """Return the message, and what was left out of it, as text."""
    try:
        if kind != "telemetry":
            return DECODE[kind](data), ""
        message, faults = parse_telemetry(data, arrived_at=arrived_at)
    except msgspec.ValidationError as error:
        faults = _faults_of(kind, data, error)
        raise Undecodable("bad_message", faults=faults) from None
    if message is None:
        raise Undecodable("bad_message", faults=faults)
    return message, as_text(faults) if faults else ""


def _faults_of(
    kind: Kind, data: bytes, first: msgspec.ValidationError
) -> Sequence[Fault]:
    """Look at a refused message once more: msgspec stops at the first fault."""
    try:
        _, faults = decode_fields(STRUCTS[kind], data)
    except msgspec.ValidationError as error:
        return [fault_of(error, "message")]
    return faults or [fault_of(first, "message")]


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
