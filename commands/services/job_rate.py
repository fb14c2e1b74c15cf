"""The rate of a job as a token bucket: each command takes a token."""

from __future__ import annotations

import math
from datetime import datetime

from commands.models import Job

# What a job saves up while a worker is late, or while no device may get a command.
SAVED_SECONDS = 10
_ROUNDING = 1e-6


def tokens_of(job: Job, *, now: datetime) -> int | None:
    """Return how many commands the job's rate allows now; None: any number.

    Fractions are kept, so that 90 a minute are three in two seconds.
    """
    rate = job.rollout["rate_per_minute"]
    if not rate:
        return None
    per_second = rate / 60
    if job.tokens_at is None:
        job.tokens = max(1.0, per_second)
    else:
        passed = max(0.0, (now - job.tokens_at).total_seconds())
        most = max(1.0, per_second * SAVED_SECONDS)
        job.tokens = min(most, job.tokens + passed * per_second)
    job.tokens_at = now
    return math.floor(job.tokens + _ROUNDING)


def take_tokens(job: Job, count: int) -> None:
    """Take a token for each command that was made, and store what is left."""
    if job.tokens_at is not None:
        job.tokens -= count
        job.save(update_fields=["tokens", "tokens_at"])
