"""How an hour of heartbeats changes the size of the presence table.

It runs the statement of the ingest batches, with the autovacuum of the embedded
PostgreSQL. At full speed vacuum has less time than in a real hour; ``--rate`` limits
the speed. A real hour is ``python -m bench.heartbeats --rate 5500 --heartbeats
19800000``.

The devices send in a random order that is the same in each round, as in a real fleet.
With ``--in-turn`` neighbours in the table send in one batch: each page is then written
as a whole, and needs room for every row twice.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from bench.lab import BASE, open_lab
from bench.report import Figure, write_report
from bench.traffic import register_devices

BATCH = 500
SEED = 20_261_126
INSERT_PRESENCE = """
    INSERT INTO state_presence (device_id, tenant_id, last_seen_at, last_activity_at,
        session, seq_window, repeats, left_how, left_session, clock_skew, connectivity,
        cause, since, disconnects_72h, next_change_at, activity_bucket)
    SELECT id, tenant_id, now(), now(), 's', 0, 0, '', '', false, 'online', '', now(),
        0, now() + interval '2 minutes', date_trunc('hour', now())
    FROM registry_device ORDER BY id
"""
FIGURES = """
    SELECT pg_stat_force_next_flush(), pg_stat_clear_snapshot(), n_tup_upd,
        n_tup_hot_upd, pg_table_size(relid), pg_indexes_size(relid)
    FROM pg_stat_user_tables WHERE relname = 'state_presence'
"""


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--heartbeats", type=int, default=2_000_000)
    parser.add_argument("--rate", type=float, help="most heartbeats per second")
    parser.add_argument("--in-turn", action="store_true", help="in table order")
    options = parser.parse_args()
    with open_lab() as lab:
        register_devices(lab, options.devices)
        lab.load_django()
        url = lab.admin_url
        with psycopg.connect(url, autocommit=True) as database:
            database.execute(INSERT_PRESENCE)
            database.execute("VACUUM ANALYZE state_presence")
            before = figures(database)
            started = time.monotonic()
            ids = senders(database, are_in_turn=options.in_turn)
            write_heartbeats(ids, options.heartbeats, rate=options.rate)
            seconds = time.monotonic() - started
            after = figures(database)
    done, hot = after[0] - before[0], after[1] - before[1]
    write_report(
        "heartbeats",
        figures=[
            Figure("heartbeats written", done / seconds, "rows/s"),
            Figure("share of HOT updates", 100 * hot / done, "%"),
            Figure("table, grown to", after[2] / before[2], "times"),
            Figure("indexes, grown to", after[3] / before[3], "times"),
        ],
        ratio=after[2] / before[2],
        baseline="the size of the table before the heartbeats",
        data_dir=Path(os.environ.get("BENCH_DIR", BASE / "var")),
        notes={**vars(options), "load_average": os.getloadavg()[0]},
    )


def senders(database: psycopg.Connection[Any], *, are_in_turn: bool) -> list[int]:
    """Return the devices in the order in which they send."""
    rows = database.execute("SELECT id FROM registry_device ORDER BY id")
    ids = [row[0] for row in rows]
    if not are_in_turn:
        random.Random(SEED).shuffle(ids)
    return ids


def write_heartbeats(ids: list[int], count: int, *, rate: float | None) -> None:
    """Write ``count`` heartbeats in batches."""
    from state.services.presence.locked_rows import lock_rows

    started = time.monotonic()
    for begin in range(0, count, BATCH):
        if rate:
            time.sleep(max(0.0, started + begin / rate - time.monotonic()))
        at = begin % len(ids)
        _write_batch(lock_rows, ids[at : at + BATCH])


def _write_batch(lock_rows: Any, ids: list[int]) -> None:
    from django.db import transaction

    now = datetime.now(UTC)
    with transaction.atomic():
        locked = lock_rows(ids)
        for row in locked.rows.values():
            row.last_seen_at = row.last_activity_at = now
            row.seq_high = (row.seq_high or 0) + 1
        locked.write()


def figures(database: psycopg.Connection[Any]) -> tuple[int, int, int, int]:
    """Return updates, HOT updates, and the bytes of table and indexes."""
    time.sleep(1.5)  # sessions report their statistics once a second at most
    row = database.execute(FIGURES).fetchone()
    assert row is not None
    return row[2], row[3], row[4], row[5]


if __name__ == "__main__":
    main()
