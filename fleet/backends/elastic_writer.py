"""Writing to Elasticsearch: in bulk, by versions, no faster than it can take them."""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from elasticsearch import Elasticsearch
from elasticsearch.helpers import streaming_bulk

from fleet.backends.documents import FleetDocument
from fleet.backends.elastic_client import WRITE_SECONDS, faults
from fleet.backends.elastic_schema import to_elastic
from fleet.backends.engine import IndexFault, Turn

logger = logging.getLogger(__name__)

AT_A_TIME = 1_000  # documents of one request
MOST_BYTES = 8_000_000  # of one request
# A busy node answers 429: what it has not taken is sent again after these waits.
WAITS_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0)
TOO_MANY, NOT_FOUND, REFUSED = 429, 404, 400


class Writer:
    """The one writer of a generation.

    Every document has the version of its batch, and so has its removal. A writer whose
    turn is over is refused: its versions are too low.
    """

    def __init__(self, client: Elasticsearch, index: str, turn: Turn | None) -> None:
        self.generation = index
        self._client = client.options(request_timeout=WRITE_SECONDS, max_retries=0)
        self._turn = turn or Turn()

    def put(self, documents: Iterable[FleetDocument]) -> None:
        """Add documents; they replace older documents of the same devices."""
        version = self._turn.next_version()
        by_id = {document.device_id: document for document in documents}
        rows = ((pk, _converted(document)) for pk, document in by_id.items())
        refused = self._send(_put(pk, row, version) for pk, row in rows)
        if not refused:
            return
        for pk, reason in refused.items():
            _report(pk, reason)
        rows = ((pk, to_elastic(_bare(by_id[pk]))) for pk in refused)
        if again := self._send(_put(pk, row, version) for pk, row in rows):
            raise IndexFault(f"documents are refused: {again}")

    put_new = put  # versions tell them apart

    def remove(self, device_ids: Iterable[int]) -> None:
        """Remove the documents of devices."""
        version = self._turn.next_version()
        self._send(
            {"_op_type": "delete", "_id": str(pk)} | _versioned(version)
            for pk in device_ids
        )

    def commit(self) -> None:
        """Make all changes since the last commit searchable; they are durable."""
        self._turn.check()
        with faults():
            self._client.indices.refresh(index=self.generation)

    def close(self) -> None:
        """There is nothing to release: only versions keep writers apart."""

    def _send(self, actions: Iterable[dict[str, Any]]) -> dict[int, str]:
        """Send all; return the devices that are refused, with the reason."""
        refused: dict[int, str] = {}
        for seconds in (*WAITS_SECONDS, None):
            busy = self._send_once(actions, refused)
            if not busy:
                return refused
            if seconds is None:
                raise IndexFault(f"too busy for {len(busy)} documents")
            self._wait(seconds)
            actions = busy
        return refused

    def _send_once(
        self, actions: Iterable[dict[str, Any]], refused: dict[int, str]
    ) -> list[dict[str, Any]]:
        """Send all; return those that a busy node has not taken."""
        busy: list[dict[str, Any]] = []
        sent: deque[dict[str, Any]] = deque()  # answers come in the same order
        with faults():
            for is_done, item in streaming_bulk(
                self._client,
                self._checked(actions, sent),
                index=writer_alias(self.generation),
                require_alias=True,
                chunk_size=AT_A_TIME,
                max_chunk_bytes=MOST_BYTES,
                raise_on_error=False,
                raise_on_exception=False,
            ):
                action, (answer,) = sent.popleft(), item.values()
                status = answer["status"]
                if is_done or (status == NOT_FOUND and "error" not in answer):
                    continue
                if status == TOO_MANY:
                    busy.append(action)
                elif status == REFUSED:
                    refused[int(action["_id"])] = _reason(answer)
                else:
                    raise IndexFault(_reason(answer))
        return busy

    def _checked(
        self, actions: Iterable[dict[str, Any]], sent: deque[dict[str, Any]]
    ) -> Iterator[dict[str, Any]]:
        """Check the turn before each request."""
        for number, action in enumerate(actions):
            if number % AT_A_TIME == 0:
                self._turn.check()
            sent.append(action)
            yield dict(action)  # the helper takes it apart

    def _wait(self, seconds: float) -> None:
        """Wait, and go on showing that we work."""
        logger.info("Elasticsearch is busy; next try in %.1f s", seconds)
        while seconds > 0:
            time.sleep(min(seconds, 1.0))
            seconds -= 1.0
            self._turn.check()


def writer_alias(generation: str) -> str:
    """Return the name that a generation is written by.

    Writing by an alias never makes an index, so a late batch cannot bring a deleted
    generation back.
    """
    return f"{generation}-writer"


def _put(device_id: int, row: dict[str, Any], version: int) -> dict[str, Any]:
    return {"_id": str(device_id), "_source": row} | _versioned(version)


def _versioned(version: int) -> dict[str, Any]:
    # Or equal: the same batch may be sent twice, after a time-out.
    return {"version": version, "version_type": "external_gte"}


def _converted(document: FleetDocument) -> dict[str, Any]:
    """Convert a document; a refused value must not stop the other devices."""
    try:
        return to_elastic(document)
    except (OverflowError, TypeError, ValueError) as error:
        _report(document.device_id, str(error))
        return to_elastic(_bare(document))


def _bare(document: FleetDocument) -> FleetDocument:
    values = document.values | {"attr": {}, "reported": {}, "metric": {}}
    return replace(document, values=values)


def _report(device_id: int, reason: str) -> None:
    logger.error(
        "device %d is indexed without attr, reported and metric: %s", device_id, reason
    )


def _reason(answer: Any) -> str:
    return json.dumps(answer.get("error", answer), default=str)[:500]
