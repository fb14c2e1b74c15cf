"""Whoever acts on a job at the same time: no member is sent that should not be."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from uuid import UUID

import pytest
from django.db import connection

from commands.choices import FailureClass, JobStatus, Lane
from commands.exceptions import InvalidCommand, TransitionRefused
from commands.lifecycle import UNSENT
from commands.models import Command, Job
from commands.services.dispatch import (
    claim_due,
    find_publishable,
    mark_sent,
    release_claims,
)
from commands.services.job_approvals import approve_job
from commands.services.job_rerun import retry_failed
from commands.services.jobs import cancel_job, pause_job, resume_job, start_job
from commands.services.sweeps import cancel_for_ended_jobs_across_tenants
from tests.commands.test_jobs import again, fleet_of, make_job, tick
from tests.commands.units import Unit, deliver, now

pytestmark = pytest.mark.django_db(transaction=True)

J = JobStatus
FAILED = FailureClass.EXECUTION_FAILED
HOLDS, RELEASES = ("pause", "cancel"), ("resume", "retry", "approve", "start")
MAY_SEND = {J.RUNNING, J.COMPLETED}
SOME, MANY = 8, 100


@dataclass
class Done:
    """An action on the job: from when to when, and whether it was allowed."""

    began: float
    ended: float
    allowed: bool


@dataclass
class Race:
    """One job, and what several do with it at the same time."""

    job: Job
    done: dict[str, Done] = field(default_factory=dict)
    # When the check right before a publish began, and what it let through.
    published: list[tuple[float, set[UUID]]] = field(default_factory=list)

    def act(self, name: str) -> None:
        began, allowed = time.monotonic(), True
        try:
            ACTIONS[name](self.job)
        except (TransitionRefused, InvalidCommand):
            allowed = False
        finally:
            connection.close()
        self.done[name] = Done(began, time.monotonic(), allowed)

    def adapt(self) -> None:
        """Advance the job and send what is due, as a worker and a bridge do."""
        try:
            for _ in range(3):
                tick()
                self.send()
        finally:
            connection.close()

    def send(self) -> set[UUID]:
        links = claim_due(adapter="mqtt", limit=100, lease_seconds=10, now=now())
        claims = [(link.command_id, link.token) for link in links]
        began = time.monotonic()
        allowed = find_publishable(claims, now=now())
        mark_sent([claim for claim in claims if claim[0] in allowed], now())
        refused = [claim for claim in claims if claim[0] not in allowed]
        release_claims(refused, now=now())
        self.published.append((began, allowed))
        return allowed

    def forbade(self, at: float) -> bool:
        """Whether somebody had held the job by then, and nobody let it go on since."""
        holds = [self.done[n] for n in HOLDS if n in self.done]
        releases = [self.done[n] for n in RELEASES if n in self.done]
        return any(
            hold.allowed
            and hold.ended < at
            and not any(r.allowed and r.ended > hold.began for r in releases)
            for hold in holds
        )


ACTIONS: dict[str, Callable[[Job], object]] = {
    "pause": lambda job: pause_job(job=job, actor=None, reason="a look"),
    "resume": lambda job: resume_job(job=job, actor=None, reason="go on"),
    "cancel": lambda job: cancel_job(job=job, actor=None, reason="wrong file"),
    "approve": lambda job: approve_job(job=job, actor=None, reason="fine"),
    "start": lambda job: start_job(job=job, actor=None),
    "retry": lambda job: retry_failed(
        job=job, failure_class=FAILED, actor=None, reason="repaired"
    ),
}


def prepared(units: list[Unit], number: int) -> Job:
    """Return a job that waits for its approval, or runs with a failed canary."""
    waits = number % 3 == 0
    rollout = {"approval": waits, "canary": 2, "min_ended": 2, "failure_threshold": 0.5}
    job = make_job(units, rollout=rollout, request=f"r{number}")
    if waits:
        return job
    start_job(job=job, actor=None)
    tick()
    deliver()
    by_device = {unit.device.pk: unit for unit in units}
    sent = list(Command.objects.filter(job=job, status="sent"))
    results = ("failed", "failed" if number % 3 == 1 else "succeeded")
    for command, result in zip(sent, results, strict=True):
        by_device[command.device_id].result(command, result)
    return job


def check(race: Race) -> None:
    """Fail if a member was sent, or would be, that should not be."""
    for began, public_ids in race.published:
        assert not (public_ids and race.forbade(began)), race.done
    job = again(race.job)
    sent = race.send()
    if job.status not in MAY_SEND:
        by_hand = Command.objects.filter(public_id__in=sent, lane=Lane.BY_HAND)
        assert by_hand.count() == len(sent), (job.status, race.done)
    made = Command.objects.filter(job=job)
    if job.approved_at is None and job.rollout["approval"]:
        assert not made.exists(), race.done
    if job.status == J.CANCELLED:
        cancel_for_ended_jobs_across_tenants(now=now())
        assert not sent, race.done
        assert not made.filter(status__in=UNSENT).exists(), race.done
    originals = Counter(made.filter(retry_of=None).values_list("device_id", flat=True))
    assert set(originals.values()) <= {1}, race.done


def test_no_race_of_people_on_a_job_sends_a_member_that_should_not_be(
    is_long: bool,
) -> None:
    chance = random.Random(15)
    units = fleet_of(5)
    outcomes: Counter[str] = Counter()
    for number in range(MANY if is_long else SOME):
        race = Race(prepared(units, number))
        with ThreadPoolExecutor(5) as threads:
            names = chance.sample(sorted(ACTIONS), 4)
            started = [threads.submit(race.act, name) for name in names]
            started.append(threads.submit(race.adapt))
            for each in started:
                each.result()
        check(race)
        outcomes.update(name for name, done in race.done.items() if done.allowed)
        if again(race.job).status not in (J.CANCELLED, J.COMPLETED):
            cancel_job(job=race.job, actor=None, reason="the next race")
        Command.objects.filter(job=race.job, ended_at=None).update(
            status="cancelled", ended_at=now(), due_at=None
        )

    assert len(outcomes) >= 3, outcomes  # else they prove nothing
