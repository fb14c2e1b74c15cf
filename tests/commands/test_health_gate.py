"""A health gate compares updated members with the others, and stops a bad rollout."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from commands.models import Command, Job, JobHealth
from commands.services import job_maintenance
from commands.services.jobs import resume_job, start_job
from state.models import ListeningSlot, Risk
from tests.commands.test_job_api import JOBS, client_of
from tests.commands.test_jobs import again, commands_of, fleet_of, make_job, tick
from tests.commands.units import Unit, ask, deliver, now

pytestmark = pytest.mark.django_db

SOAK = 60
GATE = {"metric": "disconnects", "worse_by": 0.05}


def gated_job(units: list[Unit], canary: int, **gate: Any) -> Job:
    rollout = {
        "canary": canary,
        "soak_seconds": SOAK,
        "health_gate": {**GATE, **gate},
    }
    # Not a reboot: a disconnect is expected after that.
    job = make_job(units, command={"name": "identify"}, rollout=rollout)
    start_job(job=job, actor=None)
    return job


def online_fleet(count: int, since: datetime) -> list[Unit]:
    """Return devices that were online for a while before their job."""
    units = fleet_of(count, online=False)
    for unit in units:
        unit.come_online(at=since - timedelta(hours=1))
    return units


def canaries_of(job: Job, units: list[Unit]) -> list[Unit]:
    ids = set(Command.objects.filter(job=job).values_list("device_id", flat=True))
    return [unit for unit in units if unit.device.pk in ids]


def succeed(job: Job, units: list[Unit], at: datetime) -> list[Unit]:
    """Deliver the job's commands, let each be executed, and return the members."""
    deliver(at=at)
    members = {unit.device.pk: unit for unit in canaries_of(job, units)}
    for command in commands_of(job):
        if command.status == "sent":
            members[command.device_id].result(command, at=at)
    # Alarms are no longer held back.
    job_maintenance.end(list(members), now=at + timedelta(milliseconds=1))
    return list(members.values())


def lose(units: list[Unit], at: datetime) -> None:
    """Let the connection of these devices break: their last will is published."""
    for unit in units:
        body = {"status": "online", "session": "s1"}
        unit.say("status", body, at=at - timedelta(milliseconds=20))
        unit.say("status", {"status": "offline", "session": "s1"}, at=at)


def run(job: Job, start: datetime, *, seconds: int, step: float = 3.0) -> datetime:
    at = start
    while at < start + timedelta(seconds=seconds):
        at += timedelta(seconds=step)
        tick(at)
    return at


def gate_of(job: Job) -> Any:
    return client_of(job.tenant).get(f"{JOBS}{job.public_id}/").json()["gate"]


def test_canaries_that_lose_their_connection_stop_the_job() -> None:
    start = now()
    units = online_fleet(30, start)
    job = gated_job(units, canary=6)
    tick(start)
    canaries = succeed(job, units, start + timedelta(seconds=1))
    lose(canaries[:5], start + timedelta(seconds=20))

    run(job, start + timedelta(seconds=21), seconds=SOAK + 20)

    job = again(job)
    assert job.status == "stopped"
    assert job.stop_reason.startswith(
        "The health gate: 5 of 6 devices (83.3%) that got the command lost their"
        " connection within 30 s, against 0 of 24 devices (0.0%)"
    )
    assert len(commands_of(job)) == 6
    gate = gate_of(job)
    assert gate["verdict"] == "breached"
    assert gate["updated"] == {"n": 6, "value": pytest.approx(5 / 6)}
    assert gate["control"] == {"n": 24, "value": 0}
    assert gate["bound"] == 0.05
    assert gate["text"] == job.stop_reason


def test_a_harmless_canary_lets_the_job_go_on_after_the_soak_time() -> None:
    start = now()
    units = online_fleet(20, start)
    job = gated_job(units, canary=5)
    tick(start)
    canaries = succeed(job, units, start + timedelta(seconds=1))
    lose(canaries[:1], start + timedelta(seconds=20))
    tick(start + timedelta(seconds=2))

    run(job, start + timedelta(seconds=21), seconds=SOAK - 22)
    assert len(commands_of(job)) == 5
    assert gate_of(job)["verdict"] == "holds"
    run(job, start + timedelta(seconds=SOAK), seconds=5)

    assert again(job).status == "running"
    assert len(commands_of(job)) == 20
    assert gate_of(job)["verdict"] == "passes"


def test_trouble_of_the_whole_fleet_does_not_stop_the_job() -> None:
    start = now()
    units = online_fleet(20, start)
    job = gated_job(units, canary=5)
    tick(start)
    succeed(job, units, start + timedelta(seconds=1))
    lose(units, start + timedelta(seconds=20))

    run(job, start + timedelta(seconds=21), seconds=SOAK)

    assert again(job).status == "running"


def test_a_blind_platform_holds_the_job_until_it_hears_again() -> None:
    start = now()
    units = online_fleet(8, start)
    job = gated_job(units, canary=2)
    tick(start)
    succeed(job, units, start + timedelta(seconds=1))
    slot = ListeningSlot.objects.create(
        slot=1,
        owner="bridge",
        beat_at=start,
        caught_up_at=start - timedelta(minutes=1),
    )

    blind_until = run(job, start + timedelta(seconds=10), seconds=2 * SOAK, step=5)
    held = gate_of(job)

    assert len(commands_of(job)) == 2
    assert held["verdict"] == "holds"
    assert "MQTT" in held["text"]
    ListeningSlot.objects.filter(pk=slot.pk).update(
        caught_up_at=blind_until + timedelta(hours=1)
    )
    run(job, blind_until, seconds=SOAK - 5, step=5)
    assert len(commands_of(job)) == 2  # it soaks anew
    run(job, blind_until + timedelta(seconds=SOAK), seconds=10, step=5)
    assert len(commands_of(job)) == 8


def test_too_few_devices_hold_the_verdict_but_not_the_job() -> None:
    start = now()
    units = online_fleet(1, start)
    job = gated_job(units, canary=1)
    tick(start)
    assert gate_of(job)["text"] == (
        "Too few devices have been observed for a comparison."
    )
    succeed(job, units, start + timedelta(seconds=1))

    run(job, start + timedelta(seconds=2), seconds=SOAK + 10, step=5)

    assert again(job).status == "completed"
    assert gate_of(job)["verdict"] == "holds"


def test_a_look_is_counted_once_and_kept() -> None:
    start = now()
    units = online_fleet(12, start)
    job = gated_job(units, canary=4)
    tick(start)
    succeed(job, units, start + timedelta(seconds=1))
    at = run(job, start + timedelta(seconds=2), seconds=45)
    kept: Any = JobHealth.objects.get(job=job).gate

    tick(at)
    tick(at)

    assert [span["updated"] for span in kept["spans"]][:2] == [[4, 0], [4, 0]]
    later: Any = JobHealth.objects.get(job=job).gate
    for span, then in zip(later["spans"], kept["spans"], strict=True):
        assert span["test"] == then["test"]


def test_a_person_may_resume_a_job_that_its_gate_stopped() -> None:
    start = now()
    units = online_fleet(30, start)
    job = gated_job(units, canary=6)
    tick(start)
    lose(
        succeed(job, units, start + timedelta(seconds=1)), start + timedelta(seconds=9)
    )
    at = run(job, start + timedelta(seconds=10), seconds=SOAK)
    assert again(job).status == "stopped"

    resume_job(job=job, actor=None, reason="the antenna was unplugged")
    run(job, at, seconds=SOAK + 10)

    assert again(job).status == "running"
    assert len(commands_of(job)) == 30


def test_a_job_without_a_gate_shows_null() -> None:
    job = make_job(fleet_of(2))

    assert gate_of(job) is None


def test_a_draft_shows_a_gate_that_has_not_begun() -> None:
    job = make_job(fleet_of(2), rollout={"health_gate": GATE})

    gate = gate_of(job)

    assert (gate["verdict"], gate["updated"]) == ("holds", {"n": 0, "value": None})


def _raise_alarm(unit: Unit, at: datetime) -> None:
    body = {"code": "hot", "severity": "warning", "state": "raised"}
    unit.say("event", body, at=at)


def _fail_command(unit: Unit, at: datetime) -> None:
    """Let a command of the device fail, as seen at that time."""
    command = ask(unit, "collect_logs")
    Command.objects.filter(pk=command.pk).update(
        status="failed", ended_at=at, due_at=None
    )


def _raise_risk(unit: Unit, at: datetime) -> None:
    Risk.objects.create(device=unit.device, tenant=unit.device.tenant, score=40, at=at)


def _measure(unit: Unit, at: datetime) -> None:
    unit.say("telemetry", {"metrics": {"load": 95}}, at=at)


@pytest.mark.parametrize(
    ("gate", "go_bad"),
    [
        ({"metric": "alarms", "worse_by": 0}, _raise_alarm),
        ({"metric": "alarms", "worse_by": 0, "alarm_code": "hot"}, _raise_alarm),
        ({"metric": "command_failures", "worse_by": 0.1}, _fail_command),
        ({"metric": "risk", "worse_by": 20}, _raise_risk),
        ({"metric": "telemetry:load", "worse_by": 10}, _measure),
    ],
)
def test_every_metric_stops_a_bad_rollout(
    gate: dict[str, Any], go_bad: Callable[[Unit, datetime], None]
) -> None:
    start = now()
    units = online_fleet(30, start)
    for unit in units:
        unit.say("telemetry", {"metrics": {"load": 50}}, at=start)
    job = gated_job(units, canary=6, **gate)
    tick(start)
    canaries = succeed(job, units, start + timedelta(seconds=1))
    later = start + timedelta(seconds=9)
    for unit in units:
        unit.say("telemetry", {"metrics": {"load": 52}}, at=later)
    for unit in canaries:
        go_bad(unit, later + timedelta(seconds=1))

    run(job, later, seconds=SOAK)

    assert again(job).status == "stopped", gate_of(job)
    found = gate_of(job)
    assert found["updated"] == {"n": 6, "value": 1}
    assert found["control"] == {"n": 24, "value": 0}


def test_a_refusal_that_is_stored_with_the_sending_counts() -> None:
    start = now()
    units = online_fleet(30, start)
    job = gated_job(units, canary=10, metric="command_failures")
    tick(start)
    at = start + timedelta(seconds=1)
    deliver(at=at)
    canaries = {unit.device.pk: unit for unit in canaries_of(job, units)}
    for command in commands_of(job)[:8]:
        canaries[command.device_id].acknowledge(command, "rejected", at=at)
    # Of these, the broker's word that they have left comes later than the refusal.
    late = [command.pk for command in commands_of(job)[:4]]
    Command.objects.filter(pk__in=late).update(sent_at=at + timedelta(seconds=2))

    run(job, at, seconds=SOAK + 20)

    gate = gate_of(job)
    assert gate["verdict"] == "breached"
    assert gate["updated"] == {"n": 10, "value": pytest.approx(0.8)}


def test_an_alarm_of_another_code_does_not_count() -> None:
    start = now()
    units = online_fleet(20, start)
    job = gated_job(units, canary=6, metric="alarms", alarm_code="cold")
    tick(start)
    for unit in succeed(job, units, start + timedelta(seconds=1)):
        _raise_alarm(unit, start + timedelta(seconds=5))

    run(job, start + timedelta(seconds=6), seconds=40)

    assert gate_of(job)["updated"] == {"n": 6, "value": 0}
