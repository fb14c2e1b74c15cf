"""The floor under bench/ingest: what storing the same messages costs at the least.

``COPY`` of each batch into a plain table and one upsert of presence, committed batch by
batch in the same durable PostgreSQL: no broker, no decoding, no judgment.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import psycopg

Message = tuple[str, bytes]

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
# One write a device and batch, in key order, as the bridge's.
UPSERT = """
    INSERT INTO bench_presence AS p (uid, last_seen_at, messages)
    SELECT uid, clock_timestamp(), count(*) FROM unnest(%s::text[]) AS v(uid)
    GROUP BY uid ORDER BY uid
    ON CONFLICT (uid) DO UPDATE SET last_seen_at = excluded.last_seen_at,
        messages = p.messages + excluded.messages
"""
COUNTS = """
    SELECT (SELECT count(*) FROM bench_message), (SELECT sum(messages) FROM
        bench_presence)
"""


def run_floor(url: str, messages: Sequence[Message], *, batch: int) -> float:
    """Store all messages; return the seconds that it took."""
    with psycopg.connect(url) as database:
        database.execute(TABLES)
        database.commit()
        started = time.monotonic()
        for part in _parts(messages, batch):
            uids = []
            with database.cursor() as cursor:
                with cursor.copy(COPY) as copy:
                    for topic, payload in part:
                        _, _, uid, kind = topic.split("/", 3)
                        copy.write_row((uid, kind, payload.decode()))
                        uids.append(uid)
                cursor.execute(UPSERT, [uids])
            database.commit()
        seconds = time.monotonic() - started
        stored = database.execute(COUNTS).fetchone()
        if stored != (len(messages), len(messages)):
            raise SystemExit(f"the floor stored {stored} of {len(messages)} messages")
        database.execute("DROP TABLE bench_message, bench_presence")
    return seconds


def _parts(messages: Sequence[Message], size: int) -> Iterator[Sequence[Message]]:
    for begin in range(0, len(messages), size):
        yield messages[begin : begin + size]
