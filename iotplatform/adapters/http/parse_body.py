"""From a request's body to messages of the protocol, and to words for what is none."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from iotplatform.common.messages import Undecodable, Uplink, parse
from registry.choices import Adapter
from state.services.dead_letters import DeadLetterDraft

ADAPTER = Adapter.HTTP.value
MOST_MESSAGES = 500  # what one batch of the bridge takes in, for the same reason
# Of one request. Every message may have 64 KiB; five hundred such at once would be
# 32 MB in each of the web's threads.
MOST_BYTES = 8 * 1024 * 1024
decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


@dataclass
class Reading:
    """What a body holds: messages, dead letters, and what the sender is told."""

    topic: str
    uid: str
    at: datetime
    uplinks: list[Uplink] = field(default_factory=list)
    dead: list[DeadLetterDraft] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    is_too_large: bool = False

    def refuse(self, payload: bytes, error: Undecodable, position: str = "") -> None:
        """Keep a dead letter, and name the field to the sender."""
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
        name, message = "", error.detail
        if error.reason == "bad_message" and ": " in error.detail:
            name, _, message = error.detail.partition(": ")
        place = ".".join(part for part in (position, name) if part)
        self.errors.append({"field": place, "message": message})
        self.is_too_large |= error.reason == "too_large"


def read(body: bytes, *, topic: str, uid: str, at: datetime) -> Reading:
    """Read one message, or a list of up to 500; what is good is kept beside the bad."""
    reading = Reading(topic, uid, at)
    if len(body) > MOST_BYTES:
        detail = f"{MOST_BYTES} bytes at most in one request"
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
        detail = f"messages: {len(raws)} of them, 1 to {MOST_MESSAGES} are taken"
        reading.refuse(body, Undecodable("bad_message", detail))
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
