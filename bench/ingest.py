"""How many messages per second are stored: the bridge, a lower bound and a naive one.

All consumers get messages of the same devices from the same Mosquitto, QoS 1, and
acknowledge after the commit. Each is stopped (SIGSTOP) while messages are published, so
that the publisher takes no CPU from it. Its time runs from SIGCONT until the last one
is in PostgreSQL. The final rows are compared with the messages before a ratio is given.
The floor (the lower bound) judges nothing, so only its counts are compared.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from bench import floor
from bench.lab import BASE, Lab, open_lab, stop_process, until
from bench.pace import measure_lag
from bench.report import Figure, write_report
from bench.traffic import Final, Traffic, make_traffic, publish_all, register_devices

PERSISTED = "SELECT coalesce(sum(seq_high), 0) FROM state_presence"
PERSISTED_BY_FLOOR = "SELECT coalesce(sum(messages), 0) FROM bench_presence"
FINAL = """
    SELECT d.uid, p.seq_high, s.latest -> 'temperature' -> 'value',
           coalesce(t.reported_version, 0)
    FROM registry_device d
    LEFT JOIN state_presence p ON p.device_id = d.id
    LEFT JOIN state_telemetrysummary s ON s.device_id = d.id
    LEFT JOIN state_twin t ON t.device_id = d.id
"""
TRUNCATE = """
    TRUNCATE state_presence, state_telemetrysummary, state_telemetryrollup, state_twin,
        state_connectivitytransition, fleet_outbox
"""


@dataclass(frozen=True)
class Run:
    """One consumer's figures."""

    messages: int
    seconds: float
    cpu: dict[str, float]  # seconds of each process

    @property
    def rate(self) -> float:
        """Messages per second."""
        return self.messages / self.seconds

    def figures(self, who: str) -> list[Figure]:
        """Return the rate, and the CPU time of each process per message."""
        rate = Figure(f"{who}, persisted", self.rate, "messages/s")
        return [rate] + [
            Figure(f"{who}, CPU of {name}", seconds / self.messages * 1e6, "µs/message")
            for name, seconds in self.cpu.items()
        ]


def measure(
    lab: Lab, traffic: Traffic, consumers: Sequence[str], persisted: str
) -> tuple[Run, list[tuple[Any, ...]]]:
    """Fill the queues of the stopped consumers, continue them, time the last row."""
    processes = [lab.process(name) for name in consumers]
    with psycopg.connect(lab.admin_url, autocommit=True) as database:
        for process in processes:
            os.kill(process.pid, signal.SIGSTOP)
        publish_all(lab, traffic)
        groups = {"it": consumers, "PostgreSQL": ["postgres"], "the broker": ["broker"]}
        before = {name: lab.cpu_seconds(*group) for name, group in groups.items()}
        started = time.monotonic()
        for process in processes:
            os.kill(process.pid, signal.SIGCONT)

        def is_done() -> bool:
            row = database.execute(persisted.encode()).fetchone()
            return row is not None and row[0] >= len(traffic.messages)

        until(is_done, "the last message in PostgreSQL", seconds=900)
        seconds = time.monotonic() - started
        cpu = {n: lab.cpu_seconds(*group) - before[n] for n, group in groups.items()}
        rows = database.execute(FINAL).fetchall()
    return Run(len(traffic.messages), seconds, cpu), rows


def run_consumer(lab: Lab, traffic: Traffic, module: str) -> Run:
    """Measure the naive consumer or the floor."""
    name = module.rpartition(".")[2]
    is_floor = module == "bench.floor"
    environment = {"DATABASE_ROLE": "iot_bridge"}
    if is_floor:
        environment = {"DATABASE_URL": lab.admin_url}  # it creates its own tables
    consumer = lab.start(name, [sys.executable, "-m", module], **environment)
    log = lab.folder / f"{name}.log"
    until(lambda: "subscribed" in log.read_text(), f"the subscription of {name}")
    try:
        persisted = PERSISTED_BY_FLOOR if is_floor else PERSISTED
        run, rows = measure(lab, traffic, [name], persisted)
    finally:
        stop_process(consumer)
    if is_floor:
        with psycopg.connect(lab.admin_url) as database:
            floor.check_counts(database, len(traffic.messages))
    else:
        check(name, traffic, rows)
    return run


def with_bridges(lab: Lab, count: int, use: Callable[[list[str]], Run]) -> Run:
    """Start ``count`` bridges, wait until each reads its slot, and use them."""
    command = [sys.executable, "-m", "bench.pausable_bridge"]
    names = [f"bridge-{count}-{number}" for number in range(count)]
    started: list[subprocess.Popen[bytes]] = []
    try:
        for name in names:
            started.append(
                lab.start(
                    name, command, BRIDGE_SLOTS=str(count), DATABASE_ROLE="iot_bridge"
                )
            )
            log = lab.folder / f"{name}.log"
            until(lambda f=log: "listening" in f.read_text(), f"{name} listens")  # type: ignore[misc]
        return use(names)
    finally:
        for process in started:
            stop_process(process)


def run_bridges(lab: Lab, traffic: Traffic, count: int) -> Run:
    """Measure ``count`` bridges side by side."""

    def use(names: list[str]) -> Run:
        run, rows = measure(lab, traffic, names, PERSISTED)
        check(f"{count} bridges", traffic, rows)
        return run

    clear(lab)
    return with_bridges(lab, count, use)


def clear(lab: Lab) -> None:
    """Delete the rows of the last consumer."""
    url = lab.admin_url
    with psycopg.connect(url) as database:
        database.execute(TRUNCATE)


def check(who: str, traffic: Traffic, rows: list[tuple[Any, ...]]) -> None:
    """Exit with an error if the rows are not those of the messages."""
    final: dict[str, Final] = {
        uid: (seq or 0, value, version) for uid, seq, value, version in rows
    }
    wrong = [uid for uid, row in traffic.final.items() if final.get(uid) != row]
    if wrong:
        uid = wrong[0]
        raise SystemExit(
            f"{who} stored wrong rows for {len(wrong)} devices. {uid} has"
            f" {final.get(uid)}, expected {traffic.final[uid]}"
        )


def main() -> None:
    """Measure all consumers and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--messages", type=int, default=40_000)
    parser.add_argument("--naive-messages", type=int, default=5_000)
    parser.add_argument("--lag-seconds", type=int, default=15)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    few, many = (
        make_traffic(devices=options.devices, messages=count, seed=options.seed)
        for count in (options.naive_messages, options.messages)
    )
    with open_lab() as lab:
        register_devices(lab, options.devices)
        naive = run_consumer(lab, few, "bench.naive_consumer")
        url = lab.admin_url
        bare = len(many.messages) / floor.run_floor(url, many.messages)
        lowest = run_consumer(lab, many, "bench.floor")
        bridge = run_bridges(lab, many, 1)
        two = run_bridges(lab, many, 2)
        # Last, because it leaves messages in the broker.
        half = bridge.rate / 2
        lag = run_lag(lab, options.devices, half, options.lag_seconds)
        p95 = statistics.quantiles(lag, n=20)[-1]
    write_report(
        "ingest",
        figures=[
            *bridge.figures("bridge"),
            *two.figures("two bridges"),
            *naive.figures("naive"),
            *lowest.figures("floor"),
            Figure("COPY and upsert without any broker", bare, "messages/s"),
            Figure("bridge, share of the floor", bridge.rate / lowest.rate, ""),
            Figure("bridge, share of COPY and upsert", bridge.rate / bare, ""),
            Figure("two bridges against one", two.rate / bridge.rate, "times"),
            Figure("lag at half of that rate, p50", statistics.median(lag), "s"),
            Figure("lag at half of that rate, p95", p95, "s"),
        ],
        ratio=bridge.rate / naive.rate,
        baseline="a naive consumer (callback, ORM calls and one commit per message)",
        data_dir=Path(os.environ.get("IOT_DATA_DIR", BASE / "var")),
        notes={
            **vars(options),
            "qos": 1,
            "lag_rate": round(half),
            "load_average": os.getloadavg()[0],
        },
    )


def run_lag(lab: Lab, devices: int, rate: float, seconds: int) -> list[float]:
    """Return the seconds until each message was stored at this rate."""
    lag: list[float] = []

    def use(names: list[str]) -> Run:
        lag.extend(measure_lag(lab, devices=devices, rate=rate, seconds=seconds))
        return Run(0, seconds, {})

    clear(lab)
    with_bridges(lab, 1, use)
    return lag


if __name__ == "__main__":
    main()
