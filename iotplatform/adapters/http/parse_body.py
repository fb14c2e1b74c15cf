"""Parse a request's body into messages of the protocol, and errors for the rest."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from iotplatform.common.message_faults import Fault
from iotplatform.common.messages import Undecodable, Uplink, parse
from registry.choices import Adapter
from state.services.dead_letters import DeadLetterDraft

ADAPTER = Adapter.HTTP.value
MOST_MESSAGES = 500  # as in one batch of the bridge, for the same reason
# The largest request. A message may have 64 KiB, and 500 of those would need 32 MB in
# each thread of the web process.
MOST_BYTES = 8 * 1024 * 1024
MOST_ERRORS = 20  # of one message in an answer
decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


@dataclass
class Reading:
    """A parsed body: messages, dead letters, and errors to answer with."""

    topic: str
    uid: str
    at: datetime
    uplinks: list[Uplink] = field(default_factory=list)
    dead: list[DeadLetterDraft] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    is_too_large: bool = False

    def refuse(self, payload: bytes, error: Undecodable, position: str = "") -> None:
        """Add a dead letter, and an error for each field that is wrong."""
        self.dead.append(
            DeadLetterDraft(
                topic=self.topic,
                adapter=ADAPTER,
                reason=error.reason,
                detail=error.detail,
                payload=payload,
                uid=self.uid,
            )
        )
        faults = error.faults or [Fault("", error.detail)]
        for name, message in faults[:MOST_ERRORS]:
            place = ".".join(part for part in (position, name) if part)
            self.errors.append({"field": place, "message": message})
        if more := len(faults[MOST_ERRORS:]):
            self.errors.append({"field": position, "message": f"And {more} more."})
        self.is_too_large |= error.reason == "too_large"


def read(body: bytes, *, topic: str, uid: str, at: datetime) -> Reading:
    """Parse one message, or a list of up to 500; bad ones do not stop the others."""
    reading = Reading(topic, uid, at)
    if len(body) > MOST_BYTES:
        detail = f"a request may have at most {MOST_BYTES} bytes"
        reading.refuse(body, Undecodable("too_large", detail))
    elif body.lstrip()[:1] == b"[":
        _read_list(body, reading)
    else:
        _read_one(body, reading)
    return reading


def _read_list(body: bytes, reading: Reading) -> None:
    try:
        raws = decode_list(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        reading.refuse(body, Undecodable("bad_json", str(error)))
        return
    if not 1 <= len(raws) <= MOST_MESSAGES:
        fault = Fault("messages", f"must be 1 to {MOST_MESSAGES}, got {len(raws)}")
        reading.refuse(body, Undecodable("bad_message", faults=[fault]))
        return
    for position, raw in enumerate(raws):
        _read_one(bytes(raw), reading, str(position))


def _read_one(payload: bytes, reading: Reading, position: str = "") -> None:
    try:
        uplink = parse(
            reading.topic,
            payload,
            retained=False,
            arrived_at=reading.at,
            adapter=ADAPTER,
        )
    except Undecodable as error:
        reading.refuse(payload, error, position)
    else:
        reading.uplinks.append(uplink)
