"""Taking dead letters in again: through the door of all messages, one by one.

One by one, because each has an outcome of its own, and one that cannot be taken must
not take others with it. People choose them: there are never many at once.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import InterfaceError, OperationalError, transaction
from psycopg.errors import DeadlockDetected

from commands.services.uplink import TRIES, take_again
from iotplatform.common import tenant_scope
from iotplatform.common.messages import Undecodable, Uplink, parse
from state.choices import ReplayOutcome
from state.selectors.dead_letters import last_heard_across_tenants
from state.services.dead_letters import lock_letter, mark_replayed

if TYPE_CHECKING:
    from uuid import UUID

    from registry.models import User
    from state.models import DeadLetter

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 100  # each takes some ten milliseconds, and somebody waits for all
DONE = frozenset({ReplayOutcome.TAKEN, ReplayOutcome.REPEATED})


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of one letter."""

    letter_id: UUID
    outcome: str
    detail: str


def replay_letters(
    letters: Sequence[DeadLetter], *, by: User, now: datetime
) -> list[Replayed]:
    """Take letters in again, in the order of their coming; return each one's outcome.

    Each is taken as having arrived when it did: it is no sign of life of now. One that
    was taken is not taken a second time, and a message that is known by its (boot, seq)
    changes nothing. The caller has asked whether the person may.
    """
    ordered = sorted(letters, key=lambda letter: letter.pk)
    return [_replay(letter, by=by, now=now) for letter in ordered]


def _replay(found: DeadLetter, *, by: User, now: datetime) -> Replayed:
    with _behind_the_wall_of(found):
        for attempt in range(1, TRIES + 1):
            try:
                with transaction.atomic():
                    return _replay_locked(found, by=by, now=now)
            except (OperationalError, InterfaceError) as error:
                deadlocked = isinstance(error.__cause__, DeadlockDetected)
                if not deadlocked or attempt == TRIES:
                    raise
            except Exception as error:
                logger.exception("a dead letter cannot be taken")
                what = f"{type(error).__name__}: {error}"
                with transaction.atomic():
                    return _noted(found, ReplayOutcome.REFUSED, what, by=by, now=now)
    raise AssertionError("the last try returns or raises")


def _behind_the_wall_of(letter: DeadLetter) -> AbstractContextManager[None]:
    """Let a tenant's letter reach that tenant's devices and no others.

    Its device may be another tenant's by now, or the replayer one who sees all.
    """
    if letter.tenant_id is None:
        return nullcontext()
    scope: AbstractContextManager[None] = tenant_scope.as_tenants([letter.tenant_id])
    return scope


def _replay_locked(found: DeadLetter, *, by: User, now: datetime) -> Replayed:
    letter = lock_letter(found.pk)
    if letter is None:
        detail = "It is not kept any more."
        return Replayed(found.public_id, ReplayOutcome.REFUSED, detail)
    if letter.outcome in DONE:
        detail = f"It was {letter.outcome} at {letter.replayed_at:%F %T} already."
        return Replayed(letter.public_id, ReplayOutcome.REPEATED, detail)
    outcome, detail = _outcome_of(letter, now=now)
    return _noted(letter, outcome, detail, by=by, now=now)


def _noted(
    letter: DeadLetter, outcome: ReplayOutcome, detail: str, *, by: User, now: datetime
) -> Replayed:
    mark_replayed(letter, outcome, detail, by=by, now=now)
    return Replayed(letter.public_id, outcome, detail)


def _outcome_of(letter: DeadLetter, *, now: datetime) -> tuple[ReplayOutcome, str]:
    if letter.payload_bytes > len(letter.payload):
        detail = f"Only the first {len(letter.payload)} bytes of it are kept."
        return ReplayOutcome.REFUSED, detail
    try:
        uplink = parse(
            letter.topic,
            letter.payload,
            retained=False,
            arrived_at=letter.at,
            adapter=letter.adapter,
        )
    except Undecodable as error:
        return ReplayOutcome.REFUSED, str(error)
    if _is_overtaken(uplink):
        detail = "The device was heard of since: how it stood then says nothing of now."
        return ReplayOutcome.OUTDATED, detail
    refusal, judged = take_again(uplink, now=now)
    if refusal is not None:
        return ReplayOutcome.REFUSED, f"{refusal.reason}: {refusal.detail}"
    if not judged.fresh:
        detail = "Its boot and seq were taken before."
        return ReplayOutcome.REPEATED, detail
    if uplink.kind == "reported" and not judged.reported:
        return ReplayOutcome.OUTDATED, "A newer document of the device is known."
    return ReplayOutcome.TAKEN, ""


def _is_overtaken(uplink: Uplink) -> bool:
    """Say whether it tells how a device stood before we heard of it again."""
    if uplink.kind != "status":
        return False
    heard_at = last_heard_across_tenants(uplink.uid)
    return heard_at is not None and heard_at > uplink.at
