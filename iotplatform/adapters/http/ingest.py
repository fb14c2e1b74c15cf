"""Taking in what a request holds, and saying what the platform did not take."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import TypedDict

from django.db import InterfaceError, OperationalError

from commands.services.uplink import take_in
from iotplatform.adapters.http.parse_body import ADAPTER
from iotplatform.common.messages import Heartbeat, Uplink
from iotplatform.common.problems import Conflict, NotFound, Problem
from state.services.dead_letters import DeadLetterDraft

logger = logging.getLogger(__name__)

REFUSED = "refused"  # it reads well, and the platform could not take it


class Taken(TypedDict):
    """The answer to messages."""

    taken: int  # how many


def take(
    uplinks: Sequence[Uplink], dead: Sequence[DeadLetterDraft], *, now: datetime
) -> list[DeadLetterDraft]:
    """Commit messages and dead letters; return all that became a dead letter.

    One that nobody can take is a dead letter too, and does not stop the others.
    """
    try:
        return take_in(uplinks, dead, now=now)
    except (OperationalError, InterfaceError):
        raise  # answered with 503: the device sends it again
    except Exception:
        logger.exception("a request's messages cannot be taken whole")
    kept, told = list(dead), []
    for uplink in uplinks:
        try:
            told += take_in([uplink], [], now=now)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:
            kept.append(_refused(uplink, error))
    return told + take_in([], kept, now=now)


def hear(uid: str, *, now: datetime) -> None:
    """Take a device's asking for what it is: a sign of life."""
    sign = Uplink(
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
    take([sign], [], now=now)


def problem_of(letters: Sequence[DeadLetterDraft]) -> Problem | None:
    """Return what a device is told of messages that read well and were not taken."""
    for letter in letters:
        if letter.reason in ("unknown_command", "unknown_device", "gateway_mismatch"):
            # The same words for what there is not and for what is another's.
            return NotFound("This device has no such command or child.")
        if letter.reason == "lifecycle":
            return Conflict(letter.detail)
        if letter.reason == REFUSED:
            return Conflict("The platform cannot take this message, and has kept it.")
    return None


def _refused(uplink: Uplink, error: Exception) -> DeadLetterDraft:
    return DeadLetterDraft(
        topic=uplink.topic,
        adapter=ADAPTER,
        reason=REFUSED,
        detail=f"{type(error).__name__}: {error}",
        payload=uplink.payload,
        uid=uplink.uid,
    )
