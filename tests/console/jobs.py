"""Jobs for the console's tests, made as people make them."""

from __future__ import annotations

from typing import Any

from commands.models import Job
from fleet.services.jobs import JobRequest, launch_job
from tests.console.conftest import Fleet


def launch(fleet: Fleet, query: str, **rollout: Any) -> Job:
    """A job that asks every match to identify itself."""
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
