"""Ingest what a request holds, and tell the sender what the platform refused."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TypedDict

from iotplatform.adapters.http.parse_body import ADAPTER
from iotplatform.adapters.isolation import REFUSED, ingest_isolated
from iotplatform.common.messages import Heartbeat, Uplink
from iotplatform.common.problems import Conflict, NotFound, Problem
from state.services.dead_letters import DeadLetterDraft


class Ingested(TypedDict):
    """The answer to messages."""

    taken: int  # how many were accepted


def ingest_heartbeats(uids: Collection[str], *, now: datetime) -> None:
    """Record the polls of devices as signs of life."""
    signs = [
        Uplink(
            uid=uid,
            kind="heartbeat",
            message=Heartbeat(),
            at=now,
            retained=False,
            adapter=ADAPTER,
            gateway_uid=None,
            command_id=None,
            topic=f"iot/v1/{uid}/heartbeat",
        )
        for uid in uids
    ]
    ingest_isolated(signs, [], now=now)


def problem_of(letters: Sequence[DeadLetterDraft]) -> Problem | None:
    """Return the refusal to answer with, for messages that are valid but refused."""
    for letter in letters:
        if letter.reason in ("unknown_command", "unknown_device", "gateway_mismatch"):
            # The same text, whether it does not exist or belongs to someone else.
            return NotFound("This device has no such command or child.")
        if letter.reason == "lifecycle":
            return Conflict(letter.detail)
        if letter.reason == REFUSED:
            return Conflict(
                "The platform cannot process this message. It has stored it."
            )
    return None
