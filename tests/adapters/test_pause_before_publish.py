"""A job that is paused or cancelled between claim and publish: released at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from commands.models import Attempt, Command, Job
from commands.services import dispatch, retry_policy
from commands.services.jobs import cancel_job, pause_job, resume_job, start_job
from iotplatform.adapters.http.poll_answer import claim_commands
from iotplatform.adapters.mqtt.downlink import Downlink
from tests.commands.test_jobs import fleet_of, make_job, tick
from tests.commands.units import deliver, fresh, now, sweep

pytestmark = pytest.mark.django_db


class Link:
    """A connection to a broker that takes every message."""

    free_to_publish = 1_000

    def __init__(self) -> None:
        self.topics: list[str] = []

    def publish(self, topic: str, payload: bytes, **_: Any) -> None:
        self.topics.append(topic)


def over_mqtt(device_id: int) -> bool:
    """Deliver as a bridge does; return whether anything was published."""
    link = Link()
    Downlink().send([link])  # type: ignore[list-item]
    return bool(link.topics)


def over_http(device_id: int) -> bool:
    """Deliver as a poll does; return whether anything was handed out."""
    return bool(claim_commands([device_id]))


def job_of_one(adapter: str) -> tuple[Job, Command]:
    job = make_job(fleet_of(1, adapter=adapter))
    start_job(job=job, actor=None)
    tick()
    return job, Command.objects.get(job=job)


def after_the_claim(monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any]) -> None:
    """Let somebody act once an adapter has claimed, before it publishes."""
    claim_due = dispatch.claim_due

    def claim_then_act(**arguments: Any) -> Any:
        found = claim_due(**arguments)
        act()
        return found

    monkeypatch.setattr(dispatch, "claim_due", claim_then_act)


@pytest.mark.parametrize(
    ("adapter", "send"), [("mqtt", over_mqtt), ("http", over_http)]
)
def test_a_paused_job_gets_its_claims_back_and_they_count_as_nothing(
    adapter: str, send: Callable[[int], bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    job, command = job_of_one(adapter)
    with monkeypatch.context() as patched:
        after_the_claim(patched, lambda: pause_job(job=job, actor=None, reason=""))
        assert not send(command.device_id)

    command = fresh(command)
    assert (command.status, command.claim_token) == ("queued", None)
    assert Attempt.objects.get().outcome == "stopped"
    assert retry_policy.attempts_left(command) == command.policy["attempts"]
    sweep(now() + timedelta(minutes=1))
    assert Attempt.objects.get().outcome == "stopped"
    resume_job(job=job, actor=None, reason="looked at")
    assert send(command.device_id)


def test_a_cancelled_job_leaves_no_attempt_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job, command = job_of_one("mqtt")
    after_the_claim(monkeypatch, lambda: cancel_job(job=job, actor=None, reason=""))

    assert not over_mqtt(command.device_id)

    assert fresh(command).status == "cancelled"
    assert Attempt.objects.get().outcome == "stopped"
    assert deliver() == []
