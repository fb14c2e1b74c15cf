"""How many commands a second one process claims and marks as sent, without a broker.

Queued are 100,000 commands of a paused job, 20,000 of devices that do not poll, and
those that may be sent. The baseline is one task per command, as with Celery: each is
claimed, looked at again and marked by itself, in transactions of its own.
"""

from __future__ import annotations

import argparse
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import psutil
import psycopg

from bench.lab import BASE, Lab, open_lab
from bench.queues import queue, queue_unsendable, settle
from bench.report import Figure, write_report
from bench.traffic import register_devices

BATCH = 200  # as the bridge claims them
LEASE_SECONDS = 30.0
MARKED = """
    SELECT (SELECT count(*) FROM commands_command WHERE status = 'sent'),
        (SELECT count(*) FROM commands_attempt WHERE outcome = 'sent'),
        (SELECT count(*) FROM commands_commandevent WHERE status = 'sent')
"""


def main() -> None:
    """Measure both ways in one lab and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--paused", type=int, default=100_000)
    parser.add_argument("--unpolled", type=int, default=20_000)
    parser.add_argument("--sent", type=int, default=20_000)
    parser.add_argument("--one-by-one", type=int, default=1_000)
    options = parser.parse_args()
    with open_lab() as lab:
        lab.load_django()
        report(lab, options)


def report(lab: Lab, options: argparse.Namespace) -> None:
    """Fill the queues, time both ways, and compare what they left."""
    fill(lab, options)
    single, _, _ = time_dispatch(lab, options.one_by_one, batch=1)
    rate, own, database = time_dispatch(lab, options.sent, batch=BATCH)
    check(lab, options.one_by_one + options.sent)
    write_report(
        "dispatch",
        figures=[
            Figure("claim and mark", rate, "commands/s"),
            Figure("claim and mark, CPU of the process", own, "µs/command"),
            Figure("claim and mark, CPU of PostgreSQL", database, "µs/command"),
            Figure("one task per command", single, "commands/s"),
        ],
        ratio=rate / single,
        baseline="one task per command",
        rate=Figure("claim and mark", rate, "commands/s"),
        data_dir=Path(os.environ.get("BENCH_DIR", BASE / "var")),
        notes={
            "paused": options.paused,
            "unpolled": options.unpolled,
            "load_average": os.getloadavg()[0],
        },
    )


def fill(lab: Lab, options: argparse.Namespace) -> None:
    """Register the devices and queue their commands, without triggers."""
    from registry.models import Device

    to_send = options.one_by_one + options.sent
    count = options.paused + options.unpolled + to_send
    register_devices(lab, count, indexed=False)
    ids = list(Device.objects.order_by("pk").values_list("pk", flat=True))
    paused, rest = ids[: options.paused], ids[options.paused :]
    unpolled, sent = rest[: options.unpolled], rest[options.unpolled :]
    queue_unsendable(lab, paused, unpolled)
    queue(sent)
    settle(lab)


def time_dispatch(lab: Lab, count: int, *, batch: int) -> tuple[float, float, float]:
    """Claim and mark ``count`` commands in batches.

    Return commands a second, and µs of CPU a command, here and in PostgreSQL.
    """
    own = psutil.Process()
    began, used, stored = time.monotonic(), _cpu(own), lab.cpu_seconds("postgres")
    done = 0
    while done < count:
        done += dispatch_once(min(batch, count - done))
    seconds = time.monotonic() - began
    return (
        count / seconds,
        (_cpu(own) - used) / count * 1e6,
        (lab.cpu_seconds("postgres") - stored) / count * 1e6,
    )


def dispatch_once(limit: int) -> int:
    """Do what the bridge does with a batch, but for the publishes."""
    from commands.services import dispatch

    now = datetime.now(UTC)
    due = dispatch.claim_due(
        adapter="mqtt", limit=limit, lease_seconds=LEASE_SECONDS, now=now
    )
    claims: list[tuple[UUID, UUID]] = [(each.command_id, each.token) for each in due]
    ready = dispatch.find_publishable(claims, now=now)
    marked = dispatch.mark_sent(claims, datetime.now(UTC))
    assert len(due) == limit
    assert ready == marked == {each for each, _ in claims}
    return len(due)


def check(lab: Lab, expected: int) -> None:
    """Each is sent once: by its status, its attempt and its event."""
    with psycopg.connect(lab.admin_url) as database:
        found = database.execute(MARKED).fetchone()
    assert found == (expected, expected, expected), found


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
