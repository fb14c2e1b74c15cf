"""The indexer process: wait for the lock, index, recover from errors."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from django.db import Error as DatabaseError
from django.db import connection

from fleet.backends.engine import IndexFault
from fleet.services.indexing import Indexer, Stopped, writer_lock

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.2  # when idle; each poll is two short queries
STANDBY_POLL_SECONDS = 0.5
FIRST_BACKOFF_SECONDS = 0.2
LONGEST_BACKOFF_SECONDS = 2.0


def run_indexer(root: Path, stop: threading.Event) -> None:
    """Keep the index up to date until ``stop`` is set; retry after every error."""
    backoff = FIRST_BACKOFF_SECONDS
    is_standby = False
    while not stop.is_set():
        began = time.monotonic()
        try:
            with writer_lock() as is_owner:
                if is_owner:
                    is_standby = False
                    _index_until_stopped(root, stop)
                elif not is_standby:
                    is_standby = True
                    logger.info("another indexer is running; this one is on standby")
            stop.wait(STANDBY_POLL_SECONDS)
        except (DatabaseError, IndexFault) as error:
            if time.monotonic() - began > LONGEST_BACKOFF_SECONDS:
                backoff = FIRST_BACKOFF_SECONDS  # it has worked since the last error
            logger.warning("indexing failed; next try in %.1f s: %s", backoff, error)
            # A lost connection has lost the lock, too. Start with a new one.
            connection.close()
            stop.wait(backoff)
            backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)


def _index_until_stopped(root: Path, stop: threading.Event) -> None:
    indexer = Indexer(root, stop)
    try:
        indexer.open()
        logger.info("indexing")
        while not stop.is_set():
            indexer.rebuild_if_requested()
            if not indexer.drain():
                stop.wait(POLL_SECONDS)
    except Stopped:
        logger.info("stopped during a rebuild; the next start begins again")
    finally:
        indexer.close()
