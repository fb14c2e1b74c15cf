"""Whether each part that the platform needs works."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import redis
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from fleet.backends.engine import IndexFault
from fleet.exceptions import IndexUnavailable
from fleet.selectors.lag import current_reader
from state.selectors.adapter_liveness import BLIND_AFTER, list_slots

logger = logging.getLogger(__name__)

OK = "ok"
UNKNOWN = "not known while the database does not answer"
SECONDS = 2  # time-out: a part that needs longer counts as not answering


class NotReady(Exception):
    """A part answers but cannot be used yet; the text is public."""


def check_parts() -> dict[str, str]:
    """Return ``ok`` for each part, or in a few words what is missing.

    Without the database its dependents are not asked: each would wait for it in turn.
    """
    states = {"database": _state_of("database", _database)}
    for name, check in CHECKS.items():
        is_known = states["database"] == OK or name not in NEED_DATABASE
        states[name] = _state_of(name, check) if is_known else UNKNOWN
    return states


def _state_of(name: str, check: Callable[[], None]) -> str:
    try:
        check()
    except NotReady as error:
        return str(error)
    except Exception as error:  # any error means that the part does not work
        # The error may contain a store's address, which is not public: only log it.
        logger.warning("not ready: %s: %s", name, error)
        return "does not answer"
    return OK


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


class _Migrations:
    """Checks until all are applied, then no more: reading migrations takes a while."""

    is_done = False

    def __call__(self) -> None:
        if self.is_done:
            return
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            raise NotReady("migrations are not applied")
        self.is_done = True


def _redis() -> None:
    client = redis.Redis.from_url(
        settings.REDIS_URL, socket_timeout=SECONDS, socket_connect_timeout=SECONDS
    )
    try:
        client.ping()
    finally:
        client.close()


def _broker() -> None:
    """``caught_up_at`` moves only while a bridge reads its connection to the broker."""
    slots = list_slots()
    oldest = timezone.now() - BLIND_AFTER
    if not slots:
        raise NotReady("no bridge has started yet")
    unread = [slot.slot for slot in slots if not slot.is_read_since(oldest)]
    if unread:
        raise NotReady(f"{len(unread)} of {len(slots)} bridge slots are not read")


def _index() -> None:
    try:
        current_reader().check()
    except IndexUnavailable as error:
        raise NotReady(error.detail) from error
    except IndexFault as error:
        raise NotReady("the index does not answer") from error


def _demo() -> None:
    if settings.DEMO_READY_FILE and not Path(settings.DEMO_READY_FILE).exists():
        raise NotReady("the demo fleet is being loaded")


NEED_DATABASE = {"migrations", "broker", "index"}
CHECKS: dict[str, Callable[[], None]] = {
    "migrations": _Migrations(),
    "redis": _redis,
    "broker": _broker,
    "index": _index,
    "demo": _demo,
}
