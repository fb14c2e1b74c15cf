"""Commands from the request to `succeeded`: how many a second, and how soon.

A bridge, the sweeps and the simulator's devices run as processes of their own, beside a
durable PostgreSQL and Mosquitto. The baseline is a loop that publishes the same
messages with paho and waits for their PUBACKs: nothing is stored, nothing is answered.

Control commands are measured idle, and in front of everything that may stand in the
queue: a paused job, a running one, and devices that do not poll.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.enums import CallbackAPIVersion

from bench.lab import BASE, Lab, open_lab, until
from bench.pace import measure_lag
from bench.queues import make_job, queue, queue_unsendable, settle
from bench.report import Figure, write_report
from bench.traffic import register_devices

PACED = 1_000  # devices that only send heartbeats
MAX_IN_FLIGHT = 500  # of a job, unless it asks for more
LOOK_SECONDS = 0.2
PROCESSES = ("bridge", "clock", "devices", "postgres", "broker")
SUCCEEDED = "SELECT count(*) FROM commands_command WHERE status = 'succeeded'"
OPEN_OF_JOBS = """
    SELECT count(*) FROM commands_command c JOIN commands_job j ON j.id = c.job_id
    WHERE j.status = 'running' AND c.ended_at IS NULL
"""
ONLINE = "SELECT count(*) FROM state_presence WHERE connectivity = 'online'"
TIMES = """
    SELECT extract(epoch FROM sent_at - created_at),
        extract(epoch FROM succeeded_at - created_at)
    FROM commands_command WHERE public_id = ANY(%s::uuid[])
"""


def main() -> None:
    """Measure in one lab and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sent", type=int, default=20_000)
    parser.add_argument("--asked", type=int, default=300, help="control commands")
    parser.add_argument("--per-second", type=float, default=10.0)
    parser.add_argument("--paused", type=int, default=100_000)
    parser.add_argument("--running", type=int, default=100_000)
    parser.add_argument("--unpolled", type=int, default=20_000)
    parser.add_argument("--heartbeats", type=float, default=500.0, help="a second")
    options = parser.parse_args()
    with open_lab() as lab:
        lab.load_django()
        report(lab, options)


class Places:
    """Which devices are for what, by their place in the fleet."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.asked = range(PACED, PACED + options.asked)
        self.sent = range(self.asked.stop, self.asked.stop + options.sent)
        self.running = range(self.sent.stop, self.sent.stop + options.running)
        self.paused = range(self.running.stop, self.running.stop + options.paused)
        self.unpolled = range(self.paused.stop, self.paused.stop + options.unpolled)

    @property
    def total(self) -> int:
        return self.unpolled.stop


def report(lab: Lab, options: argparse.Namespace) -> None:
    """Measure the rate, then the latencies idle and busy, and write the report."""
    places = Places(options)
    register_devices(lab, places.total, indexed=False)
    ids = _ids()
    bare = publish_bare(lab, options.sent)
    with processes(lab, places):
        rate, cpu = time_to_succeeded(lab, [ids[n] for n in places.sent])
        idle = ask_beside(lab, options, places)
        paused = [ids[n] for n in places.paused]
        queue_unsendable(lab, paused, [ids[n] for n in places.unpolled])
        settle(lab)
        with handing_out(lab, [ids[n] for n in places.running]):
            busy = ask_beside(lab, options, places)
    write_report(
        "delivery",
        figures=[
            Figure("to succeeded", rate, "commands/s"),
            Figure("bare publish loop", bare, "messages/s"),
            *(Figure(f"CPU of {n}", used, "µs/command") for n, used in cpu.items()),
            *idle.figures("idle"),
            *busy.figures("busy"),
            Figure("control p95, busy / idle", busy.p95 / idle.p95, "times"),
            Figure("ingest p95, busy / idle", busy.lag_p95 / idle.lag_p95, "times"),
        ],
        ratio=rate / bare,
        baseline="the bare publish loop",
        rate=Figure("to succeeded", rate, "commands/s"),
        data_dir=Path(os.environ.get("BENCH_DIR", BASE / "var")),
        notes=vars(options) | {"load_average": os.getloadavg()[0]},
    )


@contextmanager
def processes(lab: Lab, places: Places) -> Iterator[None]:
    """Run bridge, sweeps and devices; those that are asked are online."""
    password = {"BENCH_PASSWORD": lab.broker.password}
    bridge = [sys.executable, "manage.py", "mqtt_bridge"]
    lab.start("bridge", bridge, DATABASE_ROLE="iot_bridge")
    _wait_for_word(lab, "bridge", "listening")
    clock = [sys.executable, "-m", "bench.clock"]
    lab.start("clock", clock, DATABASE_ROLE="iot_worker")
    _wait_for_word(lab, "clock", "sweeping")
    born = [str(places.asked.start), str(places.asked.stop)]
    devices = [sys.executable, "-m", "bench.answering", *born]
    lab.start("devices", devices, **password)
    _wait_for_word(lab, "devices", "answering")
    until(lambda: _count(lab, ONLINE) >= len(places.asked), "the births")
    yield
    ended = [name for name in PROCESSES if lab.process(name).poll() is not None]
    if ended:
        raise SystemExit(f"ended while it was measured: {', '.join(ended)}")


@contextmanager
def handing_out(lab: Lab, devices: Sequence[int]) -> Iterator[None]:
    """Let a running job hand out its commands: at most so many are unanswered."""
    ending = Event()

    def hand_out() -> None:
        from commands.services.adapter_wakeup import wake_adapters

        job, done = make_job("running", members=len(devices)), 0
        while done < len(devices) and not ending.wait(LOOK_SECONDS):
            room = MAX_IN_FLIGHT - _count(lab, OPEN_OF_JOBS)
            if room > 0:
                queue(devices[done : done + room], job=job, lane=3)
                wake_adapters()
                done += room

    thread = Thread(target=hand_out)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()


def time_to_succeeded(
    lab: Lab, devices: Sequence[int]
) -> tuple[float, dict[str, float]]:
    """Queue a command for each; return commands a second, and µs of CPU of each."""
    from commands.services.adapter_wakeup import wake_adapters

    before = {name: lab.cpu_seconds(name) for name in PROCESSES}
    done = _count(lab, SUCCEEDED)
    began = time.monotonic()
    queue(devices)
    wake_adapters()
    wanted = done + len(devices)
    until(lambda: _count(lab, SUCCEEDED) >= wanted, "all succeeded", seconds=900)
    seconds = time.monotonic() - began
    cpu = {
        name: (lab.cpu_seconds(name) - used) / len(devices) * 1e6
        for name, used in before.items()
    }
    return len(devices) / seconds, cpu


class Latencies:
    """How soon control commands were sent and succeeded, and the lag of ingest."""

    def __init__(self, times: list[tuple[float, float]], lags: list[float]) -> None:
        sent, succeeded = zip(*times, strict=True)
        self._sent, self._succeeded = list(sent), list(succeeded)
        self.p95 = _p95(self._succeeded)
        self.lag_p95 = _p95(lags)

    def figures(self, when: str) -> list[Figure]:
        """Return them in milliseconds."""
        found = {
            "control to sent, p50": statistics.median(self._sent),
            "control to sent, p95": _p95(self._sent),
            "control to succeeded, p50": statistics.median(self._succeeded),
            "control to succeeded, p95": self.p95,
            "ingest, p95": self.lag_p95,
        }
        return [Figure(f"{when}: {n}", at * 1e3, "ms") for n, at in found.items()]


def ask_beside(lab: Lab, options: argparse.Namespace, places: Places) -> Latencies:
    """Ask for control commands while heartbeats are stored at a steady rate."""
    seconds = max(3, round(options.asked / options.per_second))
    lags: list[float] = []

    def pace() -> None:
        lags.extend(
            measure_lag(lab, devices=PACED, rate=options.heartbeats, seconds=seconds)
        )

    thread = Thread(target=pace)
    thread.start()
    times = ask(lab, places.asked, per_second=options.per_second)
    thread.join()
    return Latencies(times, lags)


def ask(
    lab: Lab, places: Sequence[int], *, per_second: float
) -> list[tuple[float, float]]:
    """Ask for one command each; return the seconds to sent and to succeeded."""
    from commands.services.commands import request_command
    from registry.models import Device

    uids = [f"bench-{number:06d}" for number in places]
    devices = Device.objects.select_related("product", "tenant").in_bulk(
        uids, field_name="uid"
    )
    asked, began = [], time.monotonic()
    for number, uid in enumerate(uids):
        time.sleep(max(0.0, began + number / per_second - time.monotonic()))
        command, _ = request_command(
            device=devices[uid],
            name="identify",
            params={"seconds": 1},
            policy=None,
            idempotency_key=None,
            actor=None,
        )
        asked.append(str(command.public_id))
    found: list[tuple[float, float]] = []

    def are_all_done() -> bool:
        with psycopg.connect(lab.admin_url) as database:
            rows = database.execute(TIMES, [asked]).fetchall()
        found[:] = [(float(a), float(b)) for a, b in rows if None not in (a, b)]
        return len(found) == len(asked)

    until(are_all_done, "all control commands succeeded", seconds=120)
    return found


def publish_bare(lab: Lab, count: int) -> float:
    """Publish as many commands with paho alone; return messages a second."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, "@bench-bare")
    client.username_pw_set("@bridge", lab.broker.password)
    client.max_inflight_messages_set(2_000)
    client.connect("127.0.0.1", lab.broker.platform_port)
    client.loop_start()
    command_id = "0197a3c2-6f00-7000-8000-5f3a91c0d2e4"
    body = json.dumps({"id": command_id, "name": "identify", "params": {}})
    began = time.monotonic()
    published = [
        client.publish(f"iot/v1/bare-{n % 10_000}/down/command", body, qos=1)
        for n in range(count)
    ]
    for info in published:
        info.wait_for_publish(timeout=120)
    seconds = time.monotonic() - began
    client.disconnect()
    client.loop_stop()
    return count / seconds


def _p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]


def _ids() -> list[int]:
    from registry.models import Device

    return list(Device.objects.order_by("uid").values_list("pk", flat=True))


def _count(lab: Lab, query: str) -> int:
    with psycopg.connect(lab.admin_url) as database:
        row: Any = database.execute(query.encode()).fetchone()
    return int(row[0])


def _wait_for_word(lab: Lab, name: str, word: str) -> None:
    log = lab.folder / f"{name}.log"
    until(lambda: word in log.read_text(), f"{name}: {word}", seconds=120)


if __name__ == "__main__":
    main()
