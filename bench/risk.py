"""How fast risk is judged when a whole fleet is marked, and the cost of a diagnosis.

A storm marks every device at once (the broker is back). The baseline judges one device
at a time. Without a mark a sweep has nothing to do, however large the fleet is. A
diagnosis counts the peers in the whole tenant, or reads a count of a moment ago.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from bench.lab import BASE, Lab, open_lab
from bench.report import Figure, write_report
from bench.sweep import connect, fill

SAMPLE = 500  # devices that the baseline judges
LOST = "UPDATE state_presence SET connectivity = 'offline', cause = 'last_will'"
MARK = "INSERT INTO state_riskmark (device_id) SELECT device_id FROM state_presence"


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=200_000)
    options = parser.parse_args()
    with open_lab() as lab:
        lab.load_django(role="")
        report(lab, options.devices)


def report(lab: Lab, devices: int) -> None:
    """Measure in one lab and write the report."""
    from state.services.rescoring import rescore_across_tenants, rescore_devices

    now = datetime.now(UTC)
    fill(lab, devices, now)
    with connect(lab) as database:
        database.execute("SET session_replication_role = replica")
        database.execute(f"{LOST} WHERE device_id % 10 = 0".encode())
        database.execute(MARK.encode())
        database.execute(b"ANALYZE")
        ids = [
            row[0] for row in database.execute(b"SELECT device_id FROM state_presence")
        ]

    def storm() -> None:
        while rescore_across_tenants(now=now):
            pass

    def one_by_one() -> None:
        for device_id in ids[:SAMPLE]:
            rescore_devices([device_id], now=now)

    first = timed(storm)
    with connect(lab) as database:
        database.execute(MARK.encode())
    again = timed(storm)
    single = timed(one_by_one) * devices / SAMPLE
    idle = timed(lambda: rescore_across_tenants(now=now))
    counted = time_diagnosis(ids[0])
    write_report(
        "risk",
        figures=[
            Figure("all marked for the first time", devices / first, "devices/s"),
            Figure("all marked, nothing changed", devices / again, "devices/s"),
            Figure("a sweep without marks", idle * 1000, "ms"),
            Figure("counting the peers of a device", counted, "s"),
        ],
        ratio=single / again,
        baseline=f"judging one device at a time (measured on {SAMPLE} devices)",
        data_dir=Path(os.environ.get("BENCH_DIR", BASE / "var")),
        notes={"devices": devices, "load_average": os.getloadavg()[0]},
    )


def time_diagnosis(device_id: int) -> float:
    """Return how long counting the peers of one device takes."""
    from registry.models import Device
    from state.selectors.peers import count_peers

    device = Device.objects.select_related("tenant").get(pk=device_id)
    gateway = str(device.gateway_id) if device.gateway_id else None
    near = {"gateway": gateway, "site": str(device.site_id)}
    return timed(lambda: count_peers(device.tenant, **near, now=datetime.now(UTC)))


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that ``work`` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
