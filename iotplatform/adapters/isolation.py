"""Ingest a batch so that one message that fails does not stop the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar

from django.db import InterfaceError, OperationalError
from psycopg.errors import FeatureNotSupported

from commands.services.uplink import ingest_batch
from iotplatform.common.messages import Uplink
from state.services.dead_letters import DeadLetterDraft

T = TypeVar("T")
Drafts = list[DeadLetterDraft]
logger = logging.getLogger(__name__)

REFUSED = "refused"  # the message is valid, but the platform could not ingest it


class DatabaseAway(OperationalError):
    """The database does not answer; the caller must try the batch again."""


def ingest_isolated(
    uplinks: Sequence[Uplink],
    dead: Sequence[DeadLetterDraft],
    *,
    now: datetime,
    may_write: Callable[[], bool] = lambda: True,
    drop_unrecordable: bool = False,
) -> Drafts:
    """Commit messages and dead letters; return everything that became a dead letter.

    A message that makes the batch fail is found by halving the batch. It becomes a dead
    letter, and the others are committed. ``may_write`` is asked before each try. A dead
    letter that cannot be recorded is dropped with ``drop_unrecordable``, else its error
    is raised. Raises DatabaseAway.
    """
    if not may_write():
        raise DatabaseAway("the session that may write is gone")
    options: Any = {"may_write": may_write, "drop_unrecordable": drop_unrecordable}

    def again(some: Sequence[Uplink], letters: Sequence[DeadLetterDraft]) -> Drafts:
        return ingest_isolated(some, letters, now=now, **options)

    try:
        return ingest_batch(uplinks, dead, now=now)
    except (OperationalError, InterfaceError) as error:
        raise DatabaseAway(str(error)) from error
    except Exception as error:
        if not may_write() or _is_old_plan(error):
            raise DatabaseAway(str(error)) from error
        if len(uplinks) == 1 and not dead:
            logger.exception("cannot ingest a message on %s", uplinks[0].topic)
            return again([], [_refused(uplinks[0], error)])
        if len(dead) == 1 and not uplinks:
            if not drop_unrecordable:
                raise
            logger.critical("cannot record a dead letter: %r: %s", dead[0], error)
            return []
        logger.warning("cannot ingest the batch as a whole: %s", error)
    # Messages first: a dead letter that cannot be recorded must not stop them.
    letters = [letter for half in _halves(uplinks) for letter in again(half, [])]
    for half in _halves(dead):
        letters += again([], half)
    return letters


def _is_old_plan(error: Exception) -> bool:
    """Say whether a migration has just changed what our prepared statements return.

    PostgreSQL keeps refusing those statements: a new session prepares them anew.
    """
    cause = error.__cause__
    return isinstance(cause, FeatureNotSupported) and "cached plan" in str(cause)


def _refused(uplink: Uplink, error: Exception) -> DeadLetterDraft:
    return DeadLetterDraft(
        topic=uplink.topic,
        adapter=uplink.adapter,
        reason=REFUSED,
        detail=f"{type(error).__name__}: {error}",
        payload=uplink.payload,
        uid=uplink.uid,
    )


def _halves(items: Sequence[T]) -> list[Sequence[T]]:
    middle = len(items) // 2
    return [half for half in (items[:middle], items[middle:]) if half]
