"""How fast 100,000 devices are imported, compared with ORM saves of the same file.

Both start from the same tables, and their rows are compared before a figure is printed.
``python -m bench.import --devices 100000``; with ``--audited`` a person does both, and
the audit log gets an entry for each device and move. CPU seconds are those of Python
and PostgreSQL together: other work on the machine changes them less than the time.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg

from bench.lab import BASE, Lab, open_lab
from bench.report import Figure, write_report

EMPTY = "TRUNCATE registry_device, registry_lifecyclemove, fleet_outbox CASCADE"
DIGEST = """
    SELECT count(*), md5(string_agg(row::text, '' ORDER BY uid)) FROM (
        SELECT d.uid, d.name, d.serial, d.site_id, d.product_id, d.kind, d.tags,
            d.attributes, d.lifecycle, m.moved_to, m.reason
        FROM registry_device d JOIN registry_lifecyclemove m ON m.device_id = d.id
    ) AS row
"""

ENTRIES = "SELECT count(*) FROM registry_auditentry"
PERSON = """
    INSERT INTO registry_user (public_id, username, password, is_superuser, is_staff,
        is_active, first_name, last_name, email, date_joined)
    VALUES (gen_random_uuid(), 'bench', '', false, false, true, '', '', '', now())
    RETURNING id
"""


def write_devices(path: Path, count: int, *, seed: int) -> None:
    """Write a file of devices, each with a serial, tags and attributes."""
    rng = random.Random(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        header = ["uid", "name", "serial", "site", "product", "tags", "attributes"]
        writer.writerow(header)
        for number in range(count):
            tags = f"batch-{number // 1_000};row-{rng.randrange(50)}"
            attributes = json.dumps(
                {"revision": rng.choice("ABC"), "slot": number % 64}
            )
            cells = [f"dev-{number:07}", f"Device {number}", f"SN{number:08}"]
            writer.writerow([*cells, "bench-01", "bench-p1", tags, attributes])


def run(
    lab: Lab, way: str, path: Path, person: list[str]
) -> tuple[dict[str, float], Any]:
    """Import the file in one of the ways; return its figures and its rows."""
    with psycopg.connect(lab.admin_url, autocommit=True) as database:
        database.execute(EMPTY)
        recorded = database.execute(ENTRIES).fetchone()
        database.execute("VACUUM ANALYZE")
        used = lab.cpu_seconds("postgres")
        found = subprocess.run(
            [sys.executable, "-m", "bench.importers", way, str(path), *person],
            cwd=BASE,
            env=lab.environment | {"DATABASE_ROLE": "iot_platform"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        used = lab.cpu_seconds("postgres") - used
        rows = database.execute(DIGEST).fetchone()
        entries = database.execute(ENTRIES).fetchone()
    assert recorded is not None
    assert entries is not None
    assert rows is not None
    figures = json.loads(found.stdout.splitlines()[-1])
    print(
        f"{way}: {figures['seconds']:.1f} s; CPU: Python {figures['cpu']:.1f} s,"
        f" PostgreSQL {used:.1f} s",
        flush=True,
    )
    figures["cpu"] += used
    return figures, (*rows, entries[0] - recorded[0])


def main() -> None:
    """Measure both ways and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--audited", action="store_true")
    options = parser.parse_args()
    with open_lab() as lab:
        path = lab.folder / "devices.csv"
        write_devices(path, options.devices, seed=options.seed)
        with psycopg.connect(lab.admin_url) as database:
            database.execute((BASE / "bench" / "fleet.sql").read_bytes())
            row = database.execute(PERSON).fetchone()
        person = [str(row[0])] if options.audited and row else []
        checked, no_rows = run(lab, "dry-run", path, person)
        ours, our_rows = run(lab, "import", path, person)
        loop, loop_rows = run(lab, "orm", path, person)
    if our_rows != loop_rows or our_rows[0] != options.devices:
        raise SystemExit(f"Different devices: {our_rows} and {loop_rows}")
    if no_rows[0]:
        raise SystemExit(f"The dry run wrote {no_rows[0]} devices.")
    count = options.devices
    write_report(
        "import-audited" if options.audited else "import",
        figures=[
            Figure("import, whole file", ours["seconds"], "s"),
            Figure("ORM saves, whole file", loop["seconds"], "s"),
            Figure("import", count / ours["seconds"], "devices/s"),
            Figure("dry run", count / checked["seconds"], "devices/s"),
            Figure("ORM saves", count / loop["seconds"], "devices/s"),
            Figure("import", count / ours["cpu"], "devices per CPU second"),
            Figure("dry run", count / checked["cpu"], "devices per CPU second"),
            Figure("ORM saves", count / loop["cpu"], "devices per CPU second"),
            Figure("import, peak memory", ours["peak_mb"], "MB"),
            Figure("ORM saves, peak memory", loop["peak_mb"], "MB"),
        ],
        ratio=loop["seconds"] / ours["seconds"],
        rate=Figure("import", count / ours["seconds"], "rows/s"),
        baseline="a loop of ORM saves (two a device, one transaction)",
        data_dir=Path(os.environ.get("IOT_DATA_DIR", BASE / "var")),
        notes={"devices": count, "audit_entries": our_rows[-1]},
    )


if __name__ == "__main__":
    main()
