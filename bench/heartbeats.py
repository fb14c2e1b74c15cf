"""What an hour of heartbeats leaves of the presence table.

The batches' own statement, with the autovacuum of the embedded PostgreSQL beside it. As
fast as it goes, vacuum has less time for it than in a real hour; ``--rate`` paces it:
``python -m bench.heartbeats --rate 5500 --heartbeats 19800000`` is that hour.

Devices speak in an order of their own, the same in each round, as a fleet does.
``--in-turn`` has neighbours in the table speak in one batch: each page is then written
whole, and needs room for every row twice.
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
HEARD = """
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
    parser.add_argument("--rate", type=float, help="heartbeats a second, at most")
    parser.add_argument("--in-turn", action="store_true", help="in the table's order")
    asked = parser.parse_args()
    with open_lab() as lab:
        register_devices(lab, asked.devices)
        os.environ.update(lab.environment | {"DATABASE_ROLE": "iot_worker"})
        os.environ["DJANGO_SETTINGS_MODULE"] = "iotplatform.settings"
        import django

        django.setup()
        url = lab.admin_url
        with psycopg.connect(url, autocommit=True) as database:
            database.execute(HEARD)
            database.execute("VACUUM ANALYZE state_presence")
            before = figures(database)
            started = time.monotonic()
            ids = speakers(database, are_in_turn=asked.in_turn)
            beat(ids, asked.heartbeats, rate=asked.rate)
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
        baseline="the size of the table before them",
        data_dir=Path(os.environ.get("BENCH_DIR", BASE / "var")),
        notes={**vars(asked), "load_average": os.getloadavg()[0]},
    )


def speakers(database: psycopg.Connection[Any], *, are_in_turn: bool) -> list[int]:
    """Return the devices in the order in which they speak."""
    rows = database.execute("SELECT id FROM registry_device ORDER BY id")
    ids = [row[0] for row in rows]
    if not are_in_turn:
        random.Random(SEED).shuffle(ids)
    return ids


def beat(ids: list[int], count: int, *, rate: float | None) -> None:
    """Write so many heartbeats, batch by batch."""
    from state.services.presence.locked_rows import lock_rows

    started = time.monotonic()
    for begin in range(0, count, BATCH):
        if rate:
            time.sleep(max(0.0, started + begin / rate - time.monotonic()))
        at = begin % len(ids)
        _heard(lock_rows, ids[at : at + BATCH])


def _heard(lock_rows: Any, ids: list[int]) -> None:
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
    time.sleep(1.5)  # sessions report what they did at most once a second
    row = database.execute(FIGURES).fetchone()
    assert row is not None
    return row[2], row[3], row[4], row[5]


if __name__ == "__main__":
    main()
