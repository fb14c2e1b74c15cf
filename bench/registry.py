"""How fast lists of 1,000,000 devices open, compared with lists of 2,000.

Pages are requested in the same process, so the figures are those of the platform and
PostgreSQL, without a socket. ``python -m bench.registry --devices 1000000``
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import psycopg

from bench.lab import BASE, Lab, open_lab
from bench.report import Figure, write_report

FEW = 2_000
EMPTY = "TRUNCATE registry_tenant, registry_user CASCADE"


def fill(lab: Lab, count: int) -> None:
    """Create the devices of two tenants."""
    with psycopg.connect(
        lab.postgres.url("postgres", lab.postgres.password), autocommit=True
    ) as database:
        database.execute(EMPTY)
        text = (BASE / "bench" / "many.sql").read_text()
        with psycopg.ClientCursor(database) as cursor:
            cursor.execute(text, {"count": count})
        database.execute("VACUUM ANALYZE")


def collect_static(lab: Lab) -> None:
    """Collect static files, so that pages name them as in production."""
    subprocess.run(
        [sys.executable, "manage.py", "collectstatic", "--noinput", "--verbosity", "0"],
        cwd=BASE,
        env=lab.environment,
        check=True,
    )


def read(lab: Lab, rounds: int) -> dict[str, Any]:
    """Open every page; return seconds and counts by page."""
    found = subprocess.run(
        [sys.executable, "-m", "bench.readers", str(rounds)],
        cwd=BASE,
        # The platform role creates the people; each page then acts as its own user.
        env=lab.environment
        | {
            "DATABASE_ROLE": "iot_platform",
            "LOG_LEVEL": "WARNING",
            "API_RATE": "0/min",
            "ALLOWED_HOSTS": "testserver",
        },
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return result


def p95(seconds: list[float]) -> float:
    """Return the 95th percentile in milliseconds."""
    return quantiles(seconds, n=20)[-1] * 1_000


def main() -> None:
    """Measure both sizes and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=40)
    options = parser.parse_args()
    with open_lab() as lab:
        collect_static(lab)
        fill(lab, FEW)
        few = read(lab, options.rounds)
        fill(lab, options.devices)
        many = read(lab, options.rounds)
    figures = [
        Figure(f"{name}, p95", p95(seconds), "ms")
        for name, seconds in many["seconds"].items()
    ]
    everything = [s for seconds in many["seconds"].values() for s in seconds]
    figures.append(Figure("all pages, p95", p95(everything), "ms"))
    ratios = [
        median(few["seconds"][name]) / median(seconds)
        for name, seconds in many["seconds"].items()
    ]
    write_report(
        "registry",
        figures=figures,
        ratio=median(ratios),
        baseline=f"the same pages over {FEW} devices (median of the pages' ratios)",
        data_dir=Path(os.environ.get("IOT_DATA_DIR", BASE / "var")),
        notes={
            "devices": options.devices,
            "shown": many["shown"],
            "median_ms": {
                name: round(median(seconds) * 1_000, 1)
                for name, seconds in many["seconds"].items()
            },
        },
    )


if __name__ == "__main__":
    main()
