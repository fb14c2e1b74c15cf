"""How fast the console's pages answer, with 100,000 devices and 10,000 incidents.

Some people open page after page, one every two seconds, in a real web process with its
sessions. The baseline is the sign-in page, which reads almost nothing. Beside them: the
sweep of incidents, when a whole fleet's troubles are new, and when nothing is.
"""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path

from bench.as_of import at_share
from bench.lab import BASE, Lab, open_lab
from bench.report import Figure, write_report
from bench.risk import timed
from bench.search import build_here, fill
from bench.sweep import connect
from bench.website import Website

SIGN_IN = "/accounts/login/"
REFERENCE = "/fleet/?q=disconnects_72h%3A%3E%3D5+AND+firmware%3A1.1.*"
OPEN = "SELECT count(*) FROM console_incident WHERE status <> 'resolved'"
SOME = """
    SELECT (SELECT public_id FROM console_incident WHERE status = 'open' LIMIT 1),
        (SELECT uid FROM registry_device ORDER BY id LIMIT 1)
"""


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=100_000)
    parser.add_argument("--incidents", type=int, default=10_000)
    parser.add_argument("--people", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with open_lab() as lab:
        lab.load_django()
        report(lab, options)


def report(lab: Lab, options: argparse.Namespace) -> None:
    """Measure in one lab and write the report."""
    fill(lab, options.devices)
    build_here()
    sweeps = time_sweeps(lab)
    add_incidents(lab, options.incidents)
    counting = time_counting()
    paths = paths_of(lab)
    took = Website(lab).look(
        [*paths, SIGN_IN], viewers=options.people, each=options.rounds, every=2.0
    )
    middle = {path: at_share(seconds, 0.5) for path, seconds in took.items()}
    late = {path: at_share(seconds, 0.95) for path, seconds in took.items()}
    slowest = max(paths, key=late.__getitem__)
    write_report(
        "console",
        figures=[
            *sweeps,
            *counting,
            *(Figure(f"{name}, p50", middle[name] * 1e3, "ms") for name in took),
            *(Figure(f"{name}, p95", late[name] * 1e3, "ms") for name in took),
        ],
        ratio=middle[slowest] / middle[SIGN_IN],
        baseline=f"the sign-in page, for {slowest}",
        rate=Figure("the slowest page, p95", late[slowest] * 1e3, "ms"),
        data_dir=Path(os.environ.get("BENCH_DIR", BASE / "var")),
        notes={
            "devices": options.devices,
            "incidents": options.incidents,
            "load_average": os.getloadavg()[0],
        },
    )


def time_sweeps(lab: Lab) -> list[Figure]:
    """Sweep until nothing changes; return how long the first and the last took."""
    from console.services.incidents.sweep import sweep_incidents_across_tenants

    def sweep() -> None:
        sweep_incidents_across_tenants(now=datetime.now(UTC))

    first = timed(sweep)
    sweep()
    with connect(lab) as database:
        database.autocommit = True
        database.execute("VACUUM ANALYZE")
        opened = database.execute(OPEN).fetchone()
        steady = timed(sweep)
        again = database.execute(OPEN).fetchone()
    assert opened == again, (opened, again)
    assert opened is not None
    return [
        Figure("sweep, all troubles new", first, "s"),
        Figure("sweep, nothing new", steady, "s"),
        Figure("incidents that it opened", opened[0], "open"),
    ]


def time_counting() -> list[Figure]:
    """Count the days of the SLA report; return how long the first and next run took."""
    from console.services.sla_days import count_days_across_tenants

    def count() -> None:
        count_days_across_tenants(now=datetime.now(UTC), seconds=600)

    first, again = timed(count), timed(count)
    return [
        Figure("SLA days, all", first, "s"),
        Figure("SLA days, the running ones", again, "s"),
    ]


def add_incidents(lab: Lab, count: int) -> None:
    """Insert incidents of the past, and some that are open, beside the sweep's own."""
    script = (Path(__file__).parent / "console.sql").read_text()
    script = script.replace("%(count)s", str(count)).replace("%%", "%")
    with connect(lab) as database:
        database.execute("TRUNCATE console_incident CASCADE")
        database.execute(script.encode())
    with connect(lab) as database:
        database.autocommit = True
        database.execute("VACUUM ANALYZE")


def paths_of(lab: Lab) -> list[str]:
    with connect(lab) as database:
        found = database.execute(SOME).fetchone()
    assert found is not None
    incident, uid = found
    return [
        *("/queue/", "/incidents/", f"/incidents/{incident}/", "/alarms/"),
        *("/fleet/", REFERENCE, "/fleet/firmware/", f"/devices/{uid}/"),
        *("/jobs/", "/reports/sla/", "/platform/"),
    ]


if __name__ == "__main__":
    main()
