"""From received messages to one committed batch: nothing is lost, nothing stops it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from django.db import InterfaceError, OperationalError
from psycopg.errors import FeatureNotSupported

from commands.services.uplink import take_in
from iotplatform.adapters.mqtt.link import Received
from iotplatform.common.messages import Undecodable, Uplink, parse
from state.services.dead_letters import DeadLetterDraft

T = TypeVar("T")
logger = logging.getLogger(__name__)

ADAPTER = "mqtt"
REFUSED = "refused"  # it reads well, and the platform could not take it


class DatabaseAway(Exception):
    """The database does not answer; the batch is to be tried again."""


def commit(
    messages: Sequence[Received], *, are_ours: Callable[[], bool] = lambda: True
) -> None:
    """Take messages in; when it returns, all of them may be acknowledged.

    ``are_ours`` says whether the session that writes still holds their slots: Django
    would open another one without a word, and write what a survivor has taken over.

    One that nobody can take becomes a dead letter: it is found by halving the batch,
    so that the others are not lost with it.
    """
    uplinks: list[Uplink] = []
    dead: list[DeadLetterDraft] = []
    for message in messages:
        # With the retain flag it is old: evidence of nothing, and nobody's mistake.
        if not message.retained:
            _read(message, uplinks, dead)
    _commit(uplinks, dead, are_ours)


def _read(
    message: Received, uplinks: list[Uplink], dead: list[DeadLetterDraft]
) -> None:
    topic = message.topic.decode("utf-8", "replace")
    try:
        uplinks.append(
            parse(
                topic,
                message.payload,
                retained=False,
                arrived_at=message.at,
                adapter=ADAPTER,
            )
        )
    except Undecodable as error:
        dead.append(
            DeadLetterDraft(
                topic=topic,
                adapter=ADAPTER,
                reason=error.reason,
                detail=error.detail,
                payload=message.payload,
                uid=error.uid,
            )
        )


def _refused(uplink: Uplink, error: Exception) -> DeadLetterDraft:
    return DeadLetterDraft(
        topic=uplink.topic,
        adapter=ADAPTER,
        reason=REFUSED,
        detail=f"{type(error).__name__}: {error}",
        payload=uplink.payload,
        uid=uplink.uid,
    )


def _commit(
    uplinks: Sequence[Uplink],
    dead: Sequence[DeadLetterDraft],
    are_ours: Callable[[], bool],
) -> None:
    if not are_ours():
        raise DatabaseAway("the session that holds the slots is gone")
    try:
        take_in(uplinks, dead, now=datetime.now(UTC))
        return
    except (OperationalError, InterfaceError) as error:
        raise DatabaseAway(str(error)) from error
    except Exception as error:
        if not are_ours() or _is_old_plan(error):
            raise DatabaseAway(str(error)) from error
        if len(uplinks) + len(dead) == 1:
            _bury(uplinks, dead, error, are_ours)
            return
        logger.warning("a batch cannot be taken whole: %s", error)
    for half in _halves(dead):
        _commit([], half, are_ours)
    for part in _halves(uplinks):
        _commit(part, [], are_ours)


def _is_old_plan(error: Exception) -> bool:
    """Say whether a migration has just changed what our prepared statements return.

    PostgreSQL refuses those for good: a new session prepares them anew.
    """
    cause = error.__cause__
    return isinstance(cause, FeatureNotSupported) and "cached plan" in str(cause)


def _bury(
    uplinks: Sequence[Uplink],
    dead: Sequence[DeadLetterDraft],
    error: Exception,
    are_ours: Callable[[], bool],
) -> None:
    """Make the one message that cannot be taken a dead letter."""
    if uplinks:
        logger.exception("a message on %s cannot be taken", uplinks[0].topic)
        _commit([], [_refused(uplinks[0], error)], are_ours)
    else:  # there is nothing left to try with it, and others wait behind it
        logger.critical("a dead letter cannot be kept: %r: %s", dead[0], error)


def _halves(items: Sequence[T]) -> list[Sequence[T]]:
    middle = len(items) // 2
    return [half for half in (items[:middle], items[middle:]) if half]
