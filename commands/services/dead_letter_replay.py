"""Replaying dead letters: each is ingested again like any other message, one by one.

One by one, because each has its own outcome, and one that fails must not make others
fail. People choose the letters, so there are never many at once.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from django.db import InterfaceError, OperationalError, transaction

from commands.services.uplink import LEFT_OUT, ingest_again
from iotplatform.common import tenant_scope
from iotplatform.common.deadlocks import repeat_on_deadlock
from iotplatform.common.messages import Undecodable, Uplink, parse
from state.choices import ReplayOutcome
from state.selectors.dead_letters import last_heard_across_tenants
from state.services.dead_letters import lock_letter, mark_replayed

if TYPE_CHECKING:
    from uuid import UUID

    from registry.models import User
    from state.models import DeadLetter

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 100  # each takes about ten milliseconds, and a person waits for all
DONE = frozenset({ReplayOutcome.TAKEN, ReplayOutcome.REPEATED})


@dataclass(frozen=True, slots=True)
class Replayed:
    """The outcome of one letter."""

    letter_id: UUID
    outcome: str
    detail: str


def replay_letters(
    letters: Sequence[DeadLetter], *, by: User, now: datetime
) -> list[Replayed]:
    """Ingest letters again, in the order of their arrival; return each one's outcome.

    Each keeps its first arrival time: it is no sign of life now. A letter that was
    accepted is not ingested a second time, and a message whose (boot, seq) is known
    changes nothing. The caller has checked that the person may do this.
    """
    ordered = sorted(letters, key=lambda letter: letter.pk)
    return [_replay(letter, by=by, now=now) for letter in ordered]


def _replay(found: DeadLetter, *, by: User, now: datetime) -> Replayed:
    with _within_tenant_of(found):
        try:
            return repeat_on_deadlock(partial(_replay_locked, found, by=by, now=now))
        except (OperationalError, InterfaceError):
            raise  # the database is away; the letter is not at fault
        except Exception as error:
            logger.exception("a dead letter cannot be ingested")
            detail = f"{type(error).__name__}: {error}"
            with transaction.atomic():
                return _record(found, ReplayOutcome.REFUSED, detail, by=by, now=now)


def _within_tenant_of(letter: DeadLetter) -> AbstractContextManager[None]:
    """Let a tenant's letter change devices of that tenant only.

    By now its device may belong to another tenant, and the person who replays it may
    be one who sees every tenant.
    """
    if letter.tenant_id is None:
        return nullcontext()
    scope: AbstractContextManager[None] = tenant_scope.as_tenants([letter.tenant_id])
    return scope


@transaction.atomic
def _replay_locked(found: DeadLetter, *, by: User, now: datetime) -> Replayed:
    letter = lock_letter(found.pk)
    if letter is None:
        detail = "It is no longer kept."
        return Replayed(found.public_id, ReplayOutcome.REFUSED, detail)
    if letter.outcome in DONE:
        detail = f"It was {letter.outcome} at {letter.replayed_at:%F %T}."
        return Replayed(letter.public_id, ReplayOutcome.REPEATED, detail)
    outcome, detail = _outcome_of(letter, now=now)
    return _record(letter, outcome, detail, by=by, now=now)


def _record(
    letter: DeadLetter, outcome: ReplayOutcome, detail: str, *, by: User, now: datetime
) -> Replayed:
    mark_replayed(letter, outcome, detail, by=by, now=now)
    return Replayed(letter.public_id, outcome, detail)


def _outcome_of(letter: DeadLetter, *, now: datetime) -> tuple[ReplayOutcome, str]:
    if letter.payload_bytes > len(letter.payload):
        detail = f"Only the first {len(letter.payload)} bytes of it are kept."
        return ReplayOutcome.REFUSED, detail
    if letter.reason == LEFT_OUT:
        detail = "Its other metrics were applied when it arrived."
        return ReplayOutcome.REPEATED, detail
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
        detail = "The device was seen since: its old status says nothing about now."
        return ReplayOutcome.OUTDATED, detail
    refusal, judged = ingest_again(uplink, now=now)
    if refusal is not None:
        return ReplayOutcome.REFUSED, f"{refusal.reason}: {refusal.detail}"
    if not judged.fresh:
        detail = "A message with this boot and seq was applied before."
        return ReplayOutcome.REPEATED, detail
    if uplink.kind == "reported" and not judged.reported:
        return ReplayOutcome.OUTDATED, "A newer report of the device is known."
    left_out = f"Left out: {uplink.left_out}" if uplink.left_out else ""
    return ReplayOutcome.TAKEN, left_out


def _is_overtaken(uplink: Uplink) -> bool:
    """Whether it is a status message from before the device was last seen."""
    if uplink.kind != "status":
        return False
    heard_at = last_heard_across_tenants(uplink.uid)
    return heard_at is not None and heard_at > uplink.at
