"""The floor of bench/ingest: the least that storing the same messages costs.

Each batch is one ``COPY`` into a plain table, one upsert of presence and one commit in
the same durable PostgreSQL. No message is parsed, nothing is judged. As a process it
consumes from the same broker with paho and, as the bridge does, acknowledges after the
commit.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

Pair = tuple[str, bytes]

BATCH = 500
CLIENT_ID = "@floor"
TABLES = """
    DROP TABLE IF EXISTS bench_message, bench_presence;
    CREATE TABLE bench_message (
        uid text NOT NULL, kind text NOT NULL, payload text NOT NULL,
        at timestamptz NOT NULL DEFAULT clock_timestamp());
    CREATE TABLE bench_presence (
        uid text PRIMARY KEY, last_seen_at timestamptz NOT NULL,
        messages bigint NOT NULL) WITH (fillfactor = 70);
"""
COPY = "COPY bench_message (uid, kind, payload) FROM STDIN"
# One write per device and batch, in key order, as in the bridge.
UPSERT = """
    INSERT INTO bench_presence AS p (uid, last_seen_at, messages)
    SELECT uid, clock_timestamp(), count(*) FROM unnest(%s::text[]) AS v(uid)
    GROUP BY uid ORDER BY uid
    ON CONFLICT (uid) DO UPDATE SET last_seen_at = excluded.last_seen_at,
        messages = p.messages + excluded.messages
"""
COUNTS = """
    SELECT (SELECT count(*) FROM bench_message),
        (SELECT sum(messages) FROM bench_presence)
"""


def store(database: psycopg.Connection[Any], batch: Sequence[Pair]) -> None:
    """Store one batch and commit."""
    uids = []
    with database.cursor() as cursor:
        with cursor.copy(COPY) as copy:
            for topic, payload in batch:
                _, _, uid, kind = topic.split("/", 3)
                copy.write_row((uid, kind, payload.decode()))
                uids.append(uid)
        cursor.execute(UPSERT, [uids])
    database.commit()


def run_floor(url: str, messages: Sequence[Pair]) -> float:
    """Store all messages without a broker; return the seconds."""
    with psycopg.connect(url) as database:
        make_tables(database)
        started = time.monotonic()
        for batch in _parts(messages, BATCH):
            store(database, batch)
        seconds = time.monotonic() - started
        check_counts(database, len(messages))
    return seconds


def make_tables(database: psycopg.Connection[Any]) -> None:
    """Create empty tables."""
    database.execute(TABLES)
    database.commit()


def check_counts(database: psycopg.Connection[Any], expected: int) -> None:
    """Exit with an error if not all messages were stored."""
    stored = database.execute(COUNTS).fetchone()
    if stored != (expected, expected):
        raise SystemExit(f"the floor stored {stored} of {expected} messages")


def _parts(messages: Sequence[Pair], size: int) -> Iterator[Sequence[Pair]]:
    for begin in range(0, len(messages), size):
        yield messages[begin : begin + size]


class FloorConsumer:
    """Collects a batch in paho's callback, stores it, acknowledges it."""

    def __init__(self, client: mqtt.Client, url: str) -> None:
        self._client = client
        self._database = psycopg.connect(url)
        make_tables(self._database)
        self._batch: list[Pair] = []
        self._mids: list[int] = []

    def on_message(self, _: Any, __: Any, message: mqtt.MQTTMessage) -> None:
        """Add one message to the batch."""
        self._batch.append((message.topic, bytes(message.payload)))
        self._mids.append(message.mid)
        if len(self._batch) >= BATCH:
            self.flush()

    def flush(self) -> None:
        """Store the batch so far."""
        if self._batch:
            store(self._database, self._batch)
            for mid in self._mids:
                self._client.ack(mid, 1)
            self._batch, self._mids = [], []


def main() -> None:
    """Consume until killed."""
    url = urlsplit(os.environ["MQTT_URL"])
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2,
        CLIENT_ID,
        protocol=MQTTProtocolVersion.MQTTv5,
        manual_ack=True,
    )
    client.username_pw_set(unquote(url.username or ""), unquote(url.password or ""))
    consumer = FloorConsumer(client, os.environ["DATABASE_URL"])
    client.on_message = consumer.on_message
    client.on_connect = _subscribe
    client.on_subscribe = lambda *_: print("subscribed", flush=True)
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.ReceiveMaximum = 4 * BATCH  # as the bridge asks for
    properties.SessionExpiryInterval = 3_600
    client.connect(
        url.hostname or "", url.port or 1883, clean_start=False, properties=properties
    )
    while client.loop(timeout=0.05) == mqtt.MQTT_ERR_SUCCESS:
        if (sock := client.socket()) and not select.select([sock], [], [], 0.05)[0]:
            consumer.flush()  # a partial batch, and no message is waiting


def _subscribe(client: mqtt.Client, *_: Any) -> None:
    client.subscribe("iot/v1/+/+", qos=1)


if __name__ == "__main__":
    main()
