"""Many devices that wait in a poll: what they cost, and how soon a command reaches one.

The device process is real, with a PostgreSQL and a Valkey of its own. The baseline is
the time that a poll takes where a command waits for it already.
"""

from __future__ import annotations

import argparse
import os
import selectors
import socket
import statistics
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg

from bench.lab import BASE, Lab, open_lab, until
from bench.report import Figure, write_report
from bench.traffic import register_devices
from iotplatform.local.ports import LOOPBACK, answers, free_port
from iotplatform.local.valkey import Valkey

CREDENTIALS = """
    INSERT INTO registry_credential (public_id, tenant_id, device_id, kind, verifier,
        fingerprint, created_at)
    SELECT gen_random_uuid(), tenant_id, id, 'password', %s, '', now()
    FROM registry_device
"""
ONLINE = "SELECT count(*) FROM state_presence WHERE connectivity = 'online'"


@dataclass(eq=False)
class Poll:
    """A request that waits."""

    uid: str
    link: socket.socket


def main() -> None:
    """Open the polls, send some of them a command, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--polls", type=int, default=10_000)
    parser.add_argument("--commands", type=int, default=100)
    options = parser.parse_args()
    with open_lab() as lab:
        redis_url = start_valkey(lab)
        lab.load_django(REDIS_URL=redis_url)
        report(lab, options)


def start_valkey(lab: Lab) -> str:
    """Start the cache that the device process counts requests in; return its URL."""
    valkey = Valkey.at(lab.folder / "valkey", port=free_port(), password="bench")
    valkey.prepare()
    lab.start("valkey", valkey.command(dies_by="TERM"))
    until(lambda: answers(LOOPBACK, valkey.port), "Valkey")
    return valkey.url


def report(lab: Lab, options: argparse.Namespace) -> None:
    """Measure memory and CPU of the waiting polls, and the latency of commands."""
    secret = register(lab, options.polls)
    port = start_device_process(lab)
    empty = memory_of(lab)
    with ExitStack() as stack:
        began = time.monotonic()
        polls = [
            open_poll(stack, port, f"bench-{number:06d}", secret)
            for number in range(options.polls)
        ]
        until(lambda: online(lab) >= options.polls, "all wait", seconds=900)
        opening = time.monotonic() - began
        # A poll waits for a minute: the first may have ended already.
        over = ended(polls)
        renewed = [open_poll(stack, port, poll.uid, secret) for poll in over]
        waiting = [poll for poll in polls if poll not in over] + renewed
        time.sleep(2)
        full = memory_of(lab)
        used = lab.cpu_seconds("device-http")
        time.sleep(5)
        idle = (lab.cpu_seconds("device-http") - used) / 5
        waiting = [poll for poll in waiting if poll not in ended(waiting)]
        every = max(1, len(waiting) // options.commands)
        chosen = waiting[-1::-every][: options.commands]  # the newest wait longest
        waited = [time_to_answer(poll) for poll in chosen]
        at_once = [time_of_request(port, poll.uid, secret) for poll in chosen]
    p95 = statistics.quantiles(waited, n=20)[-1]
    write_report(
        "waiting_polls",
        figures=[
            Figure("polls that wait", len(waiting), "polls"),
            Figure("opened", options.polls / opening, "polls/s"),
            Figure("memory a poll", (full - empty) / options.polls / 1024, "KiB"),
            Figure("memory of the process", full / 1024**2, "MiB"),
            Figure("CPU while nothing happens", idle * 100, "% of a core"),
            Figure("command to a waiting poll, p50", statistics.median(waited), "ms"),
            Figure("command to a waiting poll, p95", p95, "ms"),
            Figure("a poll that waits for nothing", statistics.median(at_once), "ms"),
        ],
        ratio=statistics.median(waited) / statistics.median(at_once),
        baseline="a poll that waits for nothing",
        data_dir=Path(os.environ.get("BENCH_DIR", BASE / "var")),
        notes={"load_average": os.getloadavg()[0]},
    )


def register(lab: Lab, count: int) -> str:
    """Register HTTP devices with one secret among them; return it."""
    from registry.device_secrets import make_verifier, new_secret

    secret = new_secret()
    register_devices(lab, count, indexed=False)
    with psycopg.connect(lab.admin_url) as database:
        database.execute("SET session_replication_role = replica")
        database.execute("UPDATE registry_device SET adapter = 'http'")
        database.execute(CREDENTIALS, [make_verifier(secret)])
    return secret


def start_device_process(lab: Lab) -> int:
    """Start ``manage.py device_http``; return its port."""
    port = free_port()
    lab.start(
        "device-http",
        [sys.executable, "manage.py", "device_http", "--bind", f"{LOOPBACK}:{port}"],
        DATABASE_ROLE="iot_bridge",
        DATABASE_POOL="1",
        DEVICE_HTTP_SOCKET=str(lab.folder / "device-http.sock"),
        REDIS_URL=os.environ["REDIS_URL"],
    )
    until(lambda: answers(LOOPBACK, port), "the device process")
    return port


def open_poll(stack: ExitStack, port: int, uid: str, secret: str) -> Poll:
    """Send a poll that waits as long as it may."""
    link = stack.enter_context(socket.create_connection((LOOPBACK, port), timeout=60))
    link.sendall(request(uid, secret, wait=60))
    return Poll(uid, link)


def ended(polls: list[Poll]) -> list[Poll]:
    """Return those that were answered."""
    with selectors.DefaultSelector() as selector:
        for poll in polls:
            selector.register(poll.link, selectors.EVENT_READ, poll)
        return [key.data for key, _ in selector.select(0)]


def request(uid: str, secret: str, *, wait: int) -> bytes:
    return (
        f"GET /device/v1/commands/?wait={wait} HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Device {uid}:{secret}\r\n\r\n"
    ).encode()


def time_to_answer(poll: Poll) -> float:
    """Ask for a command for its device; return the ms until the poll is answered."""
    from commands.services.commands import request_command
    from registry.models import Device

    device = Device.objects.select_related("product", "tenant").get(uid=poll.uid)
    began = time.monotonic()
    request_command(
        device=device,
        name="identify",
        params={},
        policy=None,
        idempotency_key=None,
        actor=None,
    )
    return (_answer(poll.link) - began) * 1e3


def time_of_request(port: int, uid: str, secret: str) -> float:
    """Return the ms that a poll takes which waits for nothing."""
    began = time.monotonic()
    with socket.create_connection((LOOPBACK, port), timeout=60) as link:
        link.sendall(request(uid, secret, wait=0))
        return (_answer(link) - began) * 1e3


def _answer(link: socket.socket) -> float:
    """Wait for an answer; return when it came."""
    with selectors.DefaultSelector() as selector:
        selector.register(link, selectors.EVENT_READ)
        if not selector.select(60):
            raise SystemExit("no answer within 60 s")
    at = time.monotonic()
    head = link.recv(65_536)
    if b" 200 " not in head.partition(b"\r\n")[0]:
        raise SystemExit(head.decode())
    return at


def memory_of(lab: Lab) -> int:
    """Return the bytes that the device process has in memory."""
    return int(psutil.Process(lab.process("device-http").pid).memory_info().rss)


def online(lab: Lab) -> int:
    with psycopg.connect(lab.admin_url) as database:
        row = database.execute(ONLINE).fetchone()
    return int(row[0]) if row else 0


if __name__ == "__main__":
    main()
