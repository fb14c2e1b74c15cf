"""The indexer's life: wait for the lock, work, survive what its stores do."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from django.db import Error as DatabaseError
from django.db import connection

from fleet.backends.tantivy_index import IndexFault
from fleet.services.indexing import Indexer, Stopped, writer_lock

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.2  # an idle look at the outbox is two short queries
SPARE_POLL_SECONDS = 0.5
FIRST_BACKOFF_SECONDS = 0.2
LONGEST_BACKOFF_SECONDS = 2.0


def run_indexer(root: Path, stop: threading.Event) -> None:
    """Keep the index until told to stop; a lost database or index is waited for."""
    backoff = FIRST_BACKOFF_SECONDS
    is_spare = False
    while not stop.is_set():
        began = time.monotonic()
        try:
            with writer_lock() as held:
                if held:
                    is_spare = False
                    _work(root, stop)
                elif not is_spare:
                    is_spare = True
                    logger.info("another indexer is at work; waiting as its spare")
            stop.wait(SPARE_POLL_SECONDS)
        except (DatabaseError, IndexFault) as error:
            if time.monotonic() - began > LONGEST_BACKOFF_SECONDS:
                backoff = FIRST_BACKOFF_SECONDS  # it worked in between
            logger.warning("indexing goes on in %.1f s: %s", backoff, error)
            # A connection that was lost has lost the lock too: begin with a new one.
            connection.close()
            stop.wait(backoff)
            backoff = min(backoff * 2, LONGEST_BACKOFF_SECONDS)


def _work(root: Path, stop: threading.Event) -> None:
    indexer = Indexer(root, stop)
    try:
        indexer.open()
        logger.info("indexing")
        while not stop.is_set():
            indexer.rebuild_if_requested()
            if not indexer.drain():
                stop.wait(POLL_SECONDS)
    except Stopped:
        logger.info("stopped in the middle of a rebuild; the next start begins it anew")
    finally:
        indexer.close()
