"""How long a search of the fleet as of then takes, over 30 days of histories.

100,000 devices with ten transitions, three earlier firmware versions, half an earlier
site and three alarms each: some 1.6 million rows, of which each search reads those
after its moment. The baseline reads the same rows and replays them in Python; both must
count the same devices.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.lab import BASE, Lab, open_lab
from bench.report import Figure, write_report
from bench.risk import timed
from bench.sweep import connect, fill

if TYPE_CHECKING:
    from registry.models import Tenant

DAYS = timedelta(days=30)
SITES, FIRMWARES = 200, 30
QUERIES = {
    "one value": "connectivity:offline",
    "a cause": "cause:last_will AND lifecycle:active",
    "a version range": "firmware:>=1.20 AND NOT connectivity:online",
    "a wildcard": "firmware:1.1* AND site:site-1*",
    "a site": "site:site-7 AND alarms:>0",
    "alarms": "alarms:>=2 OR cause:goodbye",
    "everything": "*",
    "no hit": "site:site-7 AND firmware:1.3 AND alarms:>3",
}
FACETS = ["site", "firmware", "connectivity", "cause", "lifecycle", "alarms"]
FILL = """
    UPDATE registry_device SET created_at = %(now)s - interval '40 days';
    INSERT INTO registry_site (public_id, tenant_id, slug, name, region, country,
        time_zone, created_at)
    SELECT gen_random_uuid(), t.id, 'site-' || n, '', '', '', 'UTC', now()
    FROM registry_tenant t, generate_series(1, %(sites)s) n;
    UPDATE registry_device d SET site_id = s.id FROM registry_site s
    WHERE s.slug = 'site-' || (1 + d.id %% %(sites)s);
    INSERT INTO registry_pastdevice (tenant_id, device_id, site_id, site_slug,
        lifecycle, until)
    SELECT d.tenant_id, d.id, s.id, s.slug, 'provisioned',
        %(now)s - random() * interval '30 days'
    FROM registry_device d
    JOIN registry_site s ON s.slug = 'site-' || (1 + d.id * 7 %% %(sites)s)
    WHERE d.id %% 2 = 0;
    INSERT INTO state_twin (device_id, tenant_id, desired, desired_version,
        desired_asks, reported, reported_version, reported_session, delta, firmware,
        config_version)
    SELECT id, tenant_id, '{}', 0, '{}', '{}', 0, '', '{}',
        '1.' || (id + 3) %% %(firmwares)s, '1' FROM registry_device;
    INSERT INTO state_pasttwin (tenant_id, device_id, firmware, config_version, until)
    SELECT tenant_id, id, '1.' || (id + k) %% %(firmwares)s, '1',
        %(now)s - interval '30 days' + (k + random()) * interval '10 days'
    FROM registry_device, generate_series(0, 2) k;
    INSERT INTO state_connectivitytransition (tenant_id, device_id, at, moved_from,
        moved_to, cause, cause_from, session, is_abnormal)
    SELECT tenant_id, id,
        %(now)s - interval '30 days' + (k + random()) * interval '3 days',
        CASE k %% 2 WHEN 0 THEN 'online' ELSE 'offline' END,
        CASE k %% 2 WHEN 0 THEN 'offline' ELSE 'online' END,
        CASE k %% 2 WHEN 0 THEN cause ELSE '' END,
        CASE k %% 2 WHEN 0 THEN '' ELSE cause END, '', false
    FROM registry_device, generate_series(0, 9) k, LATERAL (
        SELECT (ARRAY['last_will', 'missed_heartbeats', 'goodbye'])[
            1 + (id + k / 2) %% 3] AS cause
    ) c;
    INSERT INTO state_alarm (public_id, tenant_id, device_id, code, severity, state,
        message, count, raised_at, last_at, cleared_at, flaps)
    SELECT gen_random_uuid(), tenant_id, id, 'c' || k, 'info',
        CASE WHEN cleared_at IS NULL THEN 'raised' ELSE 'cleared' END, '', 1, raised_at,
        raised_at, cleared_at, 0
    FROM registry_device, generate_series(0, 2) k,
        LATERAL (SELECT %(now)s - (random() + 0 * (id + k)) * interval '35 days'
            AS raised_at) r,
        LATERAL (SELECT nullif(least(raised_at + random() * interval '6 days', %(now)s),
            %(now)s) AS cleared_at) c;
"""
# Oldest first, so that a replay stops at the first change after the moment.
HISTORIES = {
    "place": "SELECT device_id, until, site_slug, lifecycle FROM registry_pastdevice"
    " WHERE until > %s ORDER BY until",
    "presence": "SELECT device_id, at, moved_from, cause_from"
    " FROM state_connectivitytransition WHERE at > %s ORDER BY at",
    "twin": "SELECT device_id, until, firmware, config_version FROM state_pasttwin"
    " WHERE until > %s ORDER BY until",
}
TODAY = """
    SELECT d.id, s.slug, d.lifecycle, p.connectivity, p.cause, t.firmware
    FROM registry_device d JOIN registry_site s ON s.id = d.site_id
    JOIN state_presence p ON p.device_id = d.id
    JOIN state_twin t ON t.device_id = d.id
"""


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    with open_lab() as lab:
        lab.load_django()
        report(lab, options.devices, options.rounds)


def report(lab: Lab, devices: int, rounds: int) -> None:
    """Measure in one lab and write the report."""
    from iotplatform.common.tenant_scope import as_tenants
    from registry.models import Tenant

    now = datetime.now(UTC)
    fill(lab, devices, now)
    store_histories(lab, now)
    tenant = Tenant.objects.get()
    chance = random.Random(1)
    with as_tenants([tenant.pk]):
        replay = check(tenant, now - DAYS / 2)
        durations: dict[str, list[float]] = {name: [] for name in QUERIES}
        for _ in range(rounds):
            for name, q in QUERIES.items():
                at = now - chance.random() * DAYS
                durations[name].append(timed(partial(search, tenant, q, at)))
        changes = [
            timed(lambda: compare(tenant, now - DAYS * chance.random(), now))
            for _ in range(rounds)
        ]
    every = sorted(seconds for found in durations.values() for seconds in found)
    middle = statistics.median(every)
    write_report(
        "as_of",
        figures=[
            Figure("a search as of then, p50", middle * 1000, "ms"),
            Figure("a search as of then, p95", at_share(every, 0.95) * 1000, "ms"),
            Figure("a search as of then, longest", every[-1] * 1000, "ms"),
            *(
                Figure(f"  {name}, median", statistics.median(found) * 1000, "ms")
                for name, found in durations.items()
            ),
            Figure("changes, median", statistics.median(changes) * 1000, "ms"),
            Figure("changes, longest", max(changes) * 1000, "ms"),
        ],
        ratio=replay / middle,
        baseline="reading the histories and replaying them in Python",
        data_dir=Path(os.environ.get("BENCH_DIR", BASE / "var")),
        notes={
            "devices": devices,
            "searches": len(every),
            "load_average": os.getloadavg()[0],
        },
    )


def store_histories(lab: Lab, now: datetime) -> None:
    """Store the histories of 30 days, in partitions as in production."""
    from iotplatform.common.partitions import ensure_partitions

    for table in (
        "state_connectivitytransition",
        "state_pasttwin",
        "registry_pastdevice",
    ):
        for days in range(0, 36, 8):
            ensure_partitions(table, today=(now - timedelta(days)).date())
    values = {"now": now, "sites": SITES, "firmwares": FIRMWARES}
    with connect(lab) as database:
        database.execute("SET session_replication_role = replica")
        for statement in FILL.split(";")[:-1]:
            database.execute(statement.encode(), values)
    with connect(lab) as database:
        database.autocommit = True
        database.execute("VACUUM ANALYZE")


def search(tenant: Tenant, q: str, at: datetime) -> Any:
    """Search as the API does: a page of 50 and six facets."""
    from fleet.selectors.as_of import search_as_of

    return search_as_of(tenants=[tenant], q=q, at=at, limit=50, facets=FACETS)


def compare(tenant: Tenant, begin: datetime, end: datetime) -> Any:
    """Compare two moments as the API does."""
    from fleet.selectors.changes import find_changes

    q = "cause:last_will AND firmware:>=1.20"
    return find_changes(tenants=[tenant], q=q, from_at=begin, to_at=end)


def check(tenant: Tenant, at: datetime) -> float:
    """Compare counts with a replay at some moments; return the seconds of a replay."""
    seconds = 0.0
    for moment in (at, at + DAYS / 3, at - DAYS / 3):
        fleet: list[dict[str, Any]] = []
        seconds = timed(partial(fleet.extend, then(moment)))
        wanted = {
            "one value": sum(d["connectivity"] == "offline" for d in fleet),
            "a version range": sum(
                int(d["firmware"][2:]) >= 20 and d["connectivity"] != "online"
                for d in fleet
            ),
            "a wildcard": sum(
                d["firmware"].startswith("1.1") and d["site"].startswith("site-1")
                for d in fleet
            ),
            "a site": sum(d["site"] == "site-7" and d["alarms"] > 0 for d in fleet),
            "alarms": sum(d["alarms"] >= 2 or d["cause"] == "goodbye" for d in fleet),
            "everything": len(fleet),
        }
        for name, count in wanted.items():
            if (total := search(tenant, QUERIES[name], moment).total) != count:
                raise SystemExit(f"{name}: {total} devices, the replay has {count}.")
    return seconds


def then(at: datetime) -> Iterator[dict[str, Any]]:
    """Replay the histories row by row; yield the devices as they were."""
    from django.db import connection

    first: dict[str, dict[int, tuple[Any, Any]]] = {name: {} for name in HISTORIES}
    alarms: dict[int, int] = {}
    with connection.cursor() as cursor:
        for name, statement in HISTORIES.items():
            cursor.execute(statement, [at])
            for device_id, _, one, other in cursor:
                first[name].setdefault(device_id, (one, other))
        cursor.execute("SELECT device_id, raised_at, cleared_at FROM state_alarm")
        for device_id, raised_at, cleared_at in cursor:
            if raised_at <= at and (cleared_at is None or cleared_at > at):
                alarms[device_id] = alarms.get(device_id, 0) + 1
        cursor.execute(TODAY)
        for device_id, site, lifecycle, connectivity, cause, firmware in cursor:
            site, lifecycle = first["place"].get(device_id, (site, lifecycle))
            connectivity, cause = first["presence"].get(
                device_id, (connectivity, cause)
            )
            firmware, _ = first["twin"].get(device_id, (firmware, ""))
            yield {
                "site": site,
                "connectivity": connectivity,
                "cause": cause,
                "firmware": firmware,
                "alarms": alarms.get(device_id, 0),
            }


def at_share(ordered: list[float], share: float) -> float:
    """Return the value below which this share of the ordered values lies."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


if __name__ == "__main__":
    main()
