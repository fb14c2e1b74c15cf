"""Jobs for the tests of the console, created as people create them."""

from __future__ import annotations

from typing import Any

from commands.models import Job
from fleet.services.jobs import JobRequest, launch_job
from tests.console.conftest import Fleet


def launch(fleet: Fleet, query: str, **rollout: Any) -> Job:
    """A job that sends identify to all matches."""
    fleet.settle()
    request = JobRequest(
        tenant=fleet.tenant,
        name="identify all",
        source={"query": query},
        command={"name": "identify", "params": {}},
        rollout=rollout,
    )
    job, _ = launch_job(request, actor=None, idempotency_key=None)
    return job
