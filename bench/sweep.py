"""How long the presence sweep takes with 1,000,000 devices.

Three cases: all devices are due and nothing changed (the sweep did not run for long);
the steady state (one heartbeat a minute, so part of the fleet is due each second, with
updates by the heartbeats in between); and an outage in which some devices go offline.
The baseline judges each due device, as the sweep does with devices that the fast path
leaves.
"""

from __future__ import annotations

import argparse
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from bench.lab import BASE, Lab, open_lab
from bench.report import Figure, write_report

HEARTBEAT_SECONDS = 60
STEADY_SECONDS = 20
DEVICES = """
    INSERT INTO registry_device (public_id, uid, tenant_id, site_id, product_id, name,
        serial, kind, adapter, lifecycle, tags, attributes, created_at, updated_at)
    SELECT gen_random_uuid(), 'bench-' || lpad(n::text, 7, '0'), t.id, s.id, p.id, '',
        '', 'standalone', 'mqtt', 'active', '{}', '{}', now(), now()
    FROM generate_series(0, %s - 1) n, registry_tenant t, registry_site s,
        registry_product p
"""
# Each device sent within the last minute, at its own time. Its next check is due one or
# two minutes after that.
PRESENCE = """
    INSERT INTO state_presence (device_id, tenant_id, last_seen_at, last_activity_at,
        session, seq_window, repeats, left_how, left_session, clock_skew, connectivity,
        cause, since, disconnects_72h, next_change_at, activity_bucket)
    SELECT d.id, d.tenant_id, h.at, h.at, 's', 0, 0, '', '', false, 'online', '',
        %s, 0, h.at + make_interval(secs => 60 * (1 + n %% 2)),
        date_trunc('hour', h.at, 'UTC')
    FROM (SELECT id, tenant_id, row_number() OVER (ORDER BY id) - 1 AS n
        FROM registry_device) d,
    LATERAL (SELECT %s - make_interval(secs => 60.0 * (d.n %% 60000) / 60000) AS at) h
    ORDER BY d.id
"""
UPDATE_PRESENCE = """
    UPDATE state_presence SET last_seen_at = %s, last_activity_at = %s
    WHERE device_id = ANY(%s)
"""
SIZE = "SELECT pg_table_size('state_presence'), pg_indexes_size('state_presence')"


def main() -> None:
    """Measure the three cases and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=1_000_000)
    parser.add_argument("--lost", type=int, default=100_000)
    options = parser.parse_args()
    with open_lab() as lab:
        lab.load_django()
        report(lab, options.devices, options.lost)


def report(lab: Lab, devices: int, lost: int) -> None:
    """Measure in one lab and write the report."""
    now = datetime.now(UTC)
    fill(lab, devices, now)
    all_due = time_all_due(lab, devices, now)
    one_by_one = time_one_by_one(now, sample=20_000) * devices / 20_000
    store_presence(lab, now)
    before = sizes(lab)
    steady = time_steady(lab, devices, now)
    after = sizes(lab)
    outage = time_outage(lab, lost)
    write_report(
        "sweep",
        figures=[
            Figure("all due, nothing changed: one sweep", all_due, "s"),
            Figure("steady state: one sweep, mean", steady[0], "s"),
            Figure("steady state: one sweep, longest", steady[1], "s"),
            Figure("steady state: postponed", steady[2], "devices/s"),
            Figure("outage: one sweep of the offline devices", outage, "s"),
            Figure(
                "table, growth in the steady state", growth(before, after, 0), "times"
            ),
            Figure("indexes, growth in it", growth(before, after, 1), "times"),
        ],
        ratio=one_by_one / all_due,
        baseline="judging each due device (measured on 20,000 devices)",
        data_dir=Path(os.environ.get("BENCH_DIR", BASE / "var")),
        notes={
            "devices": devices,
            "lost": lost,
            "heartbeat_seconds": HEARTBEAT_SECONDS,
            "load_average": os.getloadavg()[0],
        },
    )


def fill(lab: Lab, devices: int, now: datetime) -> None:
    """Register the devices with presence, without triggers."""
    with connect(lab) as database:
        database.execute("SET session_replication_role = replica")
        script = (Path(__file__).parent / "fleet.sql").read_text()
        database.execute(script.encode())
        database.execute(DEVICES, [devices])
    store_presence(lab, now)


def store_presence(lab: Lab, now: datetime) -> None:
    """Store a heartbeat of every device within the last minute."""
    with connect(lab) as database:
        database.execute("SET session_replication_role = replica")
        database.execute("TRUNCATE state_presence")
        database.execute(PRESENCE, [now, now])
    with connect(lab) as database:
        database.autocommit = True
        database.execute("VACUUM ANALYZE")


def time_all_due(lab: Lab, devices: int, now: datetime) -> float:
    """Make every device due, all recently seen; return the seconds of one sweep."""
    from state.services.presence.sweep import sweep_across_tenants

    with connect(lab) as database:
        database.execute("SET session_replication_role = replica")
        database.execute("UPDATE state_presence SET next_change_at = %s", [now])
    with connect(lab) as database:
        database.autocommit = True
        database.execute("VACUUM ANALYZE state_presence")
    started = time.monotonic()
    assert sweep_across_tenants(now=now) == 0
    seconds = time.monotonic() - started
    while due(lab, now):  # the next runs postpone what one run leaves
        sweep_across_tenants(now=now)
    return seconds


def time_one_by_one(now: datetime, *, sample: int) -> float:
    """Return the seconds that judging ``sample`` devices takes."""
    from state.models import Presence
    from state.services.presence.sweep import BATCH, _judge

    ids = list(Presence.objects.order_by("pk").values_list("pk", flat=True)[:sample])
    Presence.objects.filter(pk__in=ids).update(next_change_at=now)
    started = time.monotonic()
    for begin in range(0, sample, BATCH):
        _judge(ids[begin : begin + BATCH], now=now)
    return time.monotonic() - started


def time_steady(lab: Lab, devices: int, now: datetime) -> tuple[float, float, float]:
    """Simulate seconds of heartbeats; return mean and longest sweep, postponed rate."""
    from state.models import Presence
    from state.services.presence.sweep import sweep_across_tenants

    ids = list(Presence.objects.order_by("pk").values_list("pk", flat=True))
    a_second = len(ids) // HEARTBEAT_SECONDS
    durations: list[float] = []
    postponed = 0
    for second in range(1, STEADY_SECONDS + 1):
        at = now + timedelta(seconds=second)
        # The devices whose last heartbeat was a minute ago.
        begin = len(ids) - second * a_second
        with connect(lab) as database:
            sending = ids[begin : begin + a_second]
            database.execute(UPDATE_PRESENCE, [at, at, sending])
        waiting = due(lab, at)
        started = time.monotonic()
        assert sweep_across_tenants(now=at) == 0
        durations.append(time.monotonic() - started)
        postponed += waiting - due(lab, at)
    mean = sum(durations) / len(durations)
    return mean, max(durations), postponed / STEADY_SECONDS


def time_outage(lab: Lab, lost: int) -> float:
    """Make some devices silent for six intervals; return the seconds of the sweep."""
    from state.models import Presence
    from state.services.presence.sweep import sweep_across_tenants

    ids = Presence.objects.order_by("-pk").values_list("pk", flat=True)[:lost]
    at = datetime.now(UTC)
    long_ago = at - timedelta(seconds=6 * HEARTBEAT_SECONDS)
    with connect(lab) as database:
        database.execute("UPDATE state_presence SET next_change_at = NULL")
        database.execute(
            "UPDATE state_presence SET last_seen_at = %s, last_activity_at = %s,"
            " next_change_at = %s WHERE device_id = ANY(%s)",
            [long_ago, long_ago, at, list(ids)],
        )
    started = time.monotonic()
    while sweep_across_tenants(now=at):
        pass
    seconds = time.monotonic() - started
    assert Presence.objects.filter(connectivity="offline").count() == lost
    return seconds


def due(lab: Lab, now: datetime) -> int:
    """Count the devices that are due."""
    with connect(lab) as database:
        found = database.execute(
            "SELECT count(*) FROM state_presence WHERE next_change_at <= %s", [now]
        ).fetchone()
    return int(found[0]) if found else 0


def sizes(lab: Lab) -> tuple[int, int]:
    """Return the bytes of the table and of its indexes."""
    with connect(lab) as database:
        found = database.execute(SIZE).fetchone()
    assert found is not None
    return int(found[0]), int(found[1])


def growth(before: tuple[int, int], after: tuple[int, int], index: int) -> float:
    """Return the size as a multiple of the earlier size."""
    return after[index] / before[index]


def connect(lab: Lab) -> psycopg.Connection[tuple[Any, ...]]:
    """Connect as the superuser, who may disable triggers."""
    return psycopg.connect(lab.admin_url)


if __name__ == "__main__":
    main()
