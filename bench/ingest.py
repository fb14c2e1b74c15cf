"""How many messages a second are persisted: the bridge beside a naive consumer.

Both get the same messages of the same devices from the same Mosquitto, QoS 1, and both
acknowledge after the commit. Each consumer is stopped (SIGSTOP) while the messages are
published, and timed from the moment it goes on until the last message is in PostgreSQL,
so that the publisher takes no processor from it. The final rows are compared with what
was sent, for both, before a ratio is written.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import psutil
import psycopg
from paho.mqtt.enums import CallbackAPIVersion

from bench.lab import BASE, Lab, open_lab, stop_process, until
from bench.report import Figure, write_report
from iotplatform.local.postgres import ROLE

PERSISTED = "SELECT coalesce(sum(seq_high), 0) FROM state_presence"
FINAL = """
    SELECT d.uid, p.seq_high, s.latest -> 'temperature' -> 'value',
           coalesce(t.reported_version, 0)
    FROM registry_device d
    LEFT JOIN state_presence p ON p.device_id = d.id
    LEFT JOIN state_telemetrysummary s ON s.device_id = d.id
    LEFT JOIN state_twin t ON t.device_id = d.id
"""
TRUNCATE = "TRUNCATE state_presence, state_telemetrysummary, state_twin, fleet_outbox"


@dataclass(frozen=True)
class Traffic:
    """What is sent, and what must be in the tables afterwards."""

    messages: list[tuple[str, bytes]]
    final: dict[str, tuple[int, float | None, int]]


@dataclass(frozen=True)
class Run:
    """One consumer's figures."""

    seconds: float
    cpu_seconds: float


def make_traffic(*, devices: int, messages: int, seed: int) -> Traffic:
    """60 % heartbeats, 30 % telemetry, 10 % reported documents, devices in turn."""
    chance = random.Random(seed)
    sent: list[tuple[str, bytes]] = []
    final: dict[str, tuple[int, float | None, int]] = {}
    for number in range(messages):
        uid = f"bench-{number % devices:06d}"
        seq, value, version = final.get(uid, (0, None, 0))
        seq += 1
        body: dict[str, Any] = {"boot": 1, "seq": seq}
        draw = chance.random()
        if draw < 0.6:
            kind = "heartbeat"
        elif draw < 0.9:
            kind = "telemetry"
            value = round(chance.uniform(-10, 40), 2)
            body["metrics"] = {"temperature": value, "battery": 80}
        else:
            kind = "reported"
            version += 1
            body |= {"version": version, "reported": {"interval": version % 60}}
        sent.append((f"iot/v1/{uid}/{kind}", json.dumps(body).encode()))
        final[uid] = (seq, value, version)
    return Traffic(sent, final)


def register_devices(lab: Lab, count: int) -> None:
    """A tenant with a site, a product and the devices, by plain SQL."""
    with psycopg.connect(lab.environment["DATABASE_URL"]) as connection:
        script = (Path(__file__).parent / "fleet.sql").read_text()
        connection.execute(script.encode())
        connection.execute(
            "INSERT INTO registry_device (public_id, uid, tenant_id, site_id,"
            " product_id, name, serial, kind, adapter, lifecycle, tags, attributes,"
            " created_at, updated_at)"
            " SELECT gen_random_uuid(), 'bench-' || lpad(n::text, 6, '0'), t.id, s.id,"
            " p.id, '', '', 'standalone', 'mqtt', 'active', '{}', '{}', now(), now()"
            " FROM generate_series(0, %s - 1) n, registry_tenant t, registry_site s,"
            " registry_product p",
            [count],
        )


def publish_all(lab: Lab, traffic: Traffic) -> None:
    """Hand everything to the broker, and wait until it has taken it."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "@bench-publisher")
    client.username_pw_set("@bridge", lab.broker.password)
    client.max_inflight_messages_set(1_000)
    client.connect("127.0.0.1", lab.broker.platform_port)
    client.loop_start()
    taken = [client.publish(topic, body, qos=1) for topic, body in traffic.messages]
    for info in taken:
        info.wait_for_publish(timeout=120)
    client.disconnect()
    client.loop_stop()


def measure(
    lab: Lab, traffic: Traffic, consumer: subprocess.Popen[bytes]
) -> tuple[Run, dict[str, tuple[int, float | None, int]]]:
    """Fill the stopped consumer's queue, let it go on, time it to the last row."""
    with psycopg.connect(lab.environment["DATABASE_URL"], autocommit=True) as database:
        os.kill(consumer.pid, signal.SIGSTOP)
        publish_all(lab, traffic)
        process = psutil.Process(consumer.pid)
        cpu_before = sum(process.cpu_times()[:2])
        started = time.monotonic()
        os.kill(consumer.pid, signal.SIGCONT)

        def is_done() -> bool:
            row = database.execute(PERSISTED).fetchone()
            return row is not None and row[0] >= len(traffic.messages)

        until(is_done, "the last message in PostgreSQL", seconds=600)
        run = Run(time.monotonic() - started, sum(process.cpu_times()[:2]) - cpu_before)
        rows = database.execute(FINAL).fetchall()
    return run, {uid: (seq or 0, value, version) for uid, seq, value, version in rows}


def run_naive(lab: Lab, traffic: Traffic) -> Run:
    """The baseline."""
    consumer = lab.start("naive", [sys.executable, "-m", "bench.naive_consumer"])
    log = lab.folder / "naive.log"
    until(lambda: "subscribed" in log.read_text(), "the naive consumer's subscription")
    try:
        run, final = measure(lab, traffic, consumer)
    finally:
        stop_process(consumer)
    check("the naive consumer", traffic, final)
    return run


def run_bridge(lab: Lab, traffic: Traffic) -> Run:
    """Ours."""
    command = [sys.executable, str(BASE / "manage.py"), "mqtt_bridge"]
    consumer = lab.start("bridge", command)
    log = lab.folder / "bridge.log"
    until(lambda: "listening" in log.read_text(), "the bridge's subscription")
    try:
        run, final = measure(lab, traffic, consumer)
    finally:
        stop_process(consumer)
    check("the bridge", traffic, final)
    return run


def check(
    who: str, traffic: Traffic, final: dict[str, tuple[int, float | None, int]]
) -> None:
    """Refuse to compare speeds of different work."""
    wrong = [uid for uid, row in traffic.final.items() if final.get(uid) != row]
    if wrong:
        uid = wrong[0]
        raise SystemExit(
            f"{who} stored something else for {len(wrong)} devices, such as {uid}:"
            f" {final.get(uid)}, sent {traffic.final[uid]}"
        )


def main() -> None:
    """Measure both and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=1_000)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    traffic = make_traffic(
        devices=options.devices, messages=options.messages, seed=options.seed
    )
    with open_lab() as lab:
        register_devices(lab, options.devices)
        naive = run_naive(lab, traffic)
        with psycopg.connect(
            lab.postgres.url("postgres", lab.postgres.password)
        ) as database:
            database.execute(TRUNCATE.encode())
        bridge = run_bridge(lab, traffic)
    count = options.messages
    write_report(
        "ingest",
        figures=[
            Figure("bridge, persisted", count / bridge.seconds, "messages/s"),
            Figure("naive consumer, persisted", count / naive.seconds, "messages/s"),
            Figure(
                "bridge, CPU of its process", bridge.cpu_seconds / count * 1e6, "µs"
            ),
            Figure("naive, CPU of its process", naive.cpu_seconds / count * 1e6, "µs"),
        ],
        ratio=naive.seconds / bridge.seconds,
        baseline="a naive consumer (callback, ORM calls and one commit a message)",
        data_dir=Path(os.environ.get("IOT_DATA_DIR", BASE / "var")),
        notes={"messages": count, "devices": options.devices, "qos": 1, "role": ROLE},
    )


if __name__ == "__main__":
    main()
