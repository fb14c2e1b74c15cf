"""How fast a job of 100,000 members is previewed, created and handed out.

The baseline hands out one member at a time: each in a transaction of its own, through
the same service as a command that a person sends. Handed out is as a worker does it,
batch by batch; between two batches what was sent is ended by plain SQL, untimed, since
no more than ``max_in_flight`` may be without an answer.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from bench.as_of import at_share
from bench.lab import BASE, Lab, open_lab
from bench.report import Figure, write_report
from bench.risk import timed
from bench.search import build_here
from bench.sweep import connect
from bench.traffic import register_devices
from bench.website import Website

if TYPE_CHECKING:
    from commands.models import Job
    from registry.models import Tenant

COMMAND: dict[str, Any] = {"name": "reboot", "params": {}}
IN_FLIGHT = 2_000  # what one tenant may have without an answer
ANSWER = """
    UPDATE commands_command SET status = 'succeeded', ended_at = now(),
        succeeded_at = now(), due_at = NULL
    WHERE job_id = %s AND ended_at IS NULL
"""
HANDED_OUT = """
    SELECT (SELECT count(*) FROM commands_jobtarget
            WHERE job_id = %(job)s AND command_id IS NOT NULL),
        (SELECT count(*) FROM commands_command WHERE job_id = %(job)s),
        (SELECT sum(members) FROM commands_jobcount
            WHERE job_id = %(job)s AND status = 'succeeded')
"""


def main() -> None:
    """Measure and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--members", type=int, default=100_000)
    parser.add_argument("--one-by-one", type=int, default=500)
    parser.add_argument("--viewers", type=int, default=20)
    options = parser.parse_args()
    with open_lab() as lab:
        lab.load_django()
        report(lab, options)


def report(lab: Lab, options: argparse.Namespace) -> None:
    """Measure in one lab and write the report."""
    from registry.models import Device, Tenant

    register_devices(lab, options.members)
    with connect(lab) as database:
        database.autocommit = True
        database.execute("VACUUM ANALYZE")
    build_here()
    tenant = Tenant.objects.get()
    some = list(Device.objects.order_by("pk")[: options.one_by_one])
    single = options.one_by_one / timed(lambda: one_by_one(some))
    preview = statistics.median(timed(lambda: ask(tenant)) for _ in range(3))
    made: list[Job] = []
    creation = timed(lambda: made.append(launch(tenant)))
    job = made[0]
    released = options.members / hand_out(lab, job)
    check(lab, job, options.members)
    path = f"/jobs/{job.public_id}/"
    site = Website(lab)
    pages = site.look([path], viewers=options.viewers, each=5, every=5.0)[path]
    write_report(
        "jobs",
        figures=[
            Figure("preview", preview, "s"),
            Figure("creation", creation, "s"),
            Figure("handed out", released, "commands/s"),
            Figure("one by one", single, "commands/s"),
            Figure("the job's page, p50", at_share(pages, 0.5) * 1e3, "ms"),
            Figure("the job's page, p95", at_share(pages, 0.95) * 1e3, "ms"),
            Figure("memory, at most", memory(), "MB"),
        ],
        ratio=released / single,
        baseline="one member at a time",
        rate=Figure("handed out", released, "commands/s"),
        data_dir=Path(os.environ.get("BENCH_DIR", BASE / "var")),
        notes={
            "members": options.members,
            "viewers": options.viewers,
            "load_average": os.getloadavg()[0],
        },
    )


def one_by_one(devices: list[Any]) -> None:
    """Ask for a command of each device, as a script without jobs would."""
    from commands.services.commands import request_command

    for device in devices:
        request_command(
            device=device,
            name=COMMAND["name"],
            params={},
            policy=None,
            idempotency_key=None,
            actor=None,
        )


def wanted(tenant: Tenant) -> Any:
    from fleet.services.jobs import JobRequest

    return JobRequest(
        tenant=tenant,
        name="Night",
        source={"query": "*"},
        command=COMMAND,
        rollout={"max_in_flight": IN_FLIGHT, "canary": 100},
    )


def ask(tenant: Tenant) -> None:
    from fleet.services.jobs import preview_job

    preview_job(wanted(tenant))


def launch(tenant: Tenant) -> Job:
    from fleet.services.jobs import launch_job

    job, _ = launch_job(wanted(tenant), actor=None, idempotency_key=None)
    return job


def hand_out(lab: Lab, job: Job) -> float:
    """Advance the job until every member has its command; return seconds of that."""
    from django.utils import timezone

    from commands.models import JobTarget
    from commands.services.job_advance import advance_job
    from commands.services.jobs import start_job

    start_job(job=job, actor=None)
    left = JobTarget.objects.filter(job=job, command=None, skip_reason="")
    seconds = 0.0
    with psycopg.connect(lab.admin_url, autocommit=True) as database:
        while left.exists():
            seconds += timed(lambda: advance_job(job.pk, now=timezone.now()))
            database.execute(ANSWER, [job.pk])
    return seconds


def check(lab: Lab, job: Job, members: int) -> None:
    """Every member has one command, and the counters agree."""
    with psycopg.connect(lab.admin_url) as database:
        found = database.execute(HANDED_OUT, {"job": job.pk}).fetchone()
    assert found == (members, members, members), found


def memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


if __name__ == "__main__":
    main()
