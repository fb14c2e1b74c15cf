"""How fast the devices of a search are exported, and how much memory that takes.

The baseline is what a script would do otherwise: read the pages of the search, each of
which counts its matches again, and write the same file. Memory is measured while the
file is written, against the first page: it must not grow with the fleet.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from bench.lab import BASE, open_lab
from bench.report import Figure, write_report
from bench.risk import timed

if TYPE_CHECKING:
    from fleet.backends.documents import FleetDocument
    from registry.models import Tenant

GOAL_SECONDS = 30
MEGABYTE = 1e6


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=100_000)
    options = parser.parse_args()
    with open_lab() as lab:
        lab.load_django(role="")
        report(options.devices)


def report(devices: int) -> None:
    """Measure in one lab and write the report."""
    from fleet.selectors.exports import open_export

    tenant = fill(devices)
    found = {}
    for name in ("csv", "ndjson"):
        export = open_export(tenants=[tenant], q="*", fields=[])
        found[name] = measure(getattr(export, name)())
    chosen = open_export(tenants=[tenant], q="*", fields=["uid", "site", "firmware"])
    few = measure(chosen.csv())
    by_pages = timed(lambda: read_pages(tenant, devices))
    for name, row in found.items():
        if row["lines"] != devices + (name == "csv"):
            raise SystemExit(f"{name}: {row['lines']} lines of {devices} devices.")
    write_report(
        "export",
        figures=[
            Figure("CSV, all fields", found["csv"]["seconds"], "s"),
            Figure("NDJSON, all fields", found["ndjson"]["seconds"], "s"),
            Figure("CSV, three columns", few["seconds"], "s"),
            Figure("to the first page", found["csv"]["first"], "s"),
            Figure("CSV, size", found["csv"]["bytes"] / MEGABYTE, "MB"),
            Figure("memory while writing", found["csv"]["growth"] / MEGABYTE, "MB"),
        ],
        ratio=by_pages / found["ndjson"]["seconds"],
        baseline="reading the pages of the search",
        rate=Figure("CSV", devices / found["csv"]["seconds"], "devices/s"),
        data_dir=Path(os.environ.get("BENCH_DIR", BASE / "var")),
        notes={
            "devices": devices,
            "goal_seconds": GOAL_SECONDS,
            "load_average": os.getloadavg()[0],
        },
    )


def measure(lines: Iterator[str]) -> dict[str, float]:
    """Read a file to its end; memory is the most that it grows after the first part."""
    process = psutil.Process()
    started = time.perf_counter()
    count = size = 0
    first = before = most = 0.0
    for part in lines:
        count += part.count("\n")
        size += len(part.encode())
        now = float(process.memory_info().rss)
        if count > 1 and not first:
            first, before = time.perf_counter() - started, now
        most = max(most, now)
    return {
        "seconds": time.perf_counter() - started,
        "first": first,
        "growth": most - before,
        "lines": count,
        "bytes": size,
    }


def read_pages(tenant: Tenant, devices: int) -> None:
    """Read every page of the search, a thousand devices at a time."""
    from fleet.selectors.search import search

    cursor, count = None, 0
    while True:
        page = search(tenants=[tenant], q="*", limit=1_000, cursor=cursor)
        count += len(page.results)
        if (cursor := page.next_cursor) is None:
            break
    if count != devices:
        raise SystemExit(f"The pages have {count} devices, not {devices}.")


def fill(devices: int) -> Tenant:
    """Index that many documents of one tenant, with a value in most fields."""
    from django.conf import settings

    from fleet.backends import generations
    from fleet.backends.tantivy_index import Writer
    from registry.models import Tenant

    tenant = Tenant(pk=1, slug="bench")  # nothing of it is read from the database
    root: Path = settings.INDEX_DIR
    root.mkdir(parents=True, exist_ok=True)
    name = generations.new_generation(root)
    writer = Writer(root, name, create=True)
    writer.put(documents(tenant.pk, devices))
    writer.commit()
    writer.close()
    generations.swap_to(root, name)
    return tenant


def documents(tenant_id: int, devices: int) -> Iterator[FleetDocument]:
    from fleet.backends.documents import FleetDocument
    from fleet.fields import FIELDS

    chance = random.Random(1)
    nothing = {field.name: None for field in FIELDS}
    for number in range(devices):
        yield FleetDocument(number, tenant_id, nothing | some_values(chance, number))


def some_values(chance: random.Random, number: int) -> dict[str, Any]:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    return {
        "uid": f"dev-{chance.randrange(10**9):09}-{number}",
        "name": f"Cold store {number}",
        "serial": f"SN{number:08}",
        "tenant": "bench",
        "site": f"site-{number % 500:03}",
        "region": chance.choice(["East China", "Europe", "North"]),
        "product": f"product-{number % 7}",
        "model": "Sensor S1",
        "kind": "standalone",
        "adapter": "mqtt",
        "lifecycle": "active",
        "tags": chance.sample(["winter", "pilot", "indoor", "spare"], 2),
        "firmware": chance.choice(["1.4.2", "1.4.3", "1.10.0"]),
        "connectivity": chance.choice(["online", "offline"]),
        "cause": None,
        "since": now - timedelta(minutes=chance.randrange(10_000)),
        "last_activity": now,
        "disconnects_72h": chance.randrange(9),
        "battery": chance.randrange(101),
        "rssi": -chance.randrange(40, 110),
        "drift": chance.random() < 0.1,
        "in_maintenance": False,
        "risk": chance.randrange(101),
        "heartbeat_risk": chance.randrange(46),
        "risk_reasons": ["flapping", "battery"],
        "alarms": chance.randrange(3),
        "last_command": "reboot",
        "last_command_status": "succeeded",
        "attr": {"battery_rev": chance.choice("ABC"), "floor": number % 9},
        "reported": {"modem.fw": "4.2.1", "interval": 60},
        "metric": {"temperature": round(chance.uniform(-20, 40), 1)},
    }


if __name__ == "__main__":
    main()
