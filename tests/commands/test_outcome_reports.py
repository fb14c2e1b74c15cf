"""Reports of the command plane to state: how commands end, how adapters deliver."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from commands.choices import AttemptOutcome
from commands.models import Attempt, Command, OutcomeToTell
from commands.services.commands import request_command
from commands.services.outcome_reports import (
    report_deliveries,
    report_outcomes_across_tenants,
)
from commands.tasks import report_deliveries as deliveries_task
from commands.tasks import report_outcomes as outcomes_task
from iotplatform.celery import app
from iotplatform.common.ids import new_public_id
from registry.models import Device
from state.models import AdapterPath, CommandTally
from state.selectors.device import get_risk
from state.services.rescoring import rescore_across_tenants
from tests.commands.units import Unit, deliver
from tests.factories import DeviceFactory
from tests.fleet.rows import make_command

pytestmark = pytest.mark.django_db
NOW = timezone.now()


def attempt(device: Device, minutes_ago: float, outcome: str, **values: Any) -> None:
    """Create an attempt of some minutes ago; ``answered_after`` is in seconds."""
    sent_at = NOW - timedelta(minutes=minutes_ago)
    answered_after = values.pop("answered_after", None)
    Attempt.objects.create(
        tenant=device.tenant,
        command=make_command(device),
        number=1,
        token=new_public_id(),
        claimed_at=sent_at,
        sent_at=sent_at,
        received_at=None
        if answered_after is None
        else sent_at + timedelta(seconds=answered_after),
        outcome=outcome,
        **{"adapter": "mqtt"} | values,
    )


def test_deliveries_report_recent_attempts_and_the_usual_latency() -> None:
    device = DeviceFactory.create()
    for _ in range(3):
        attempt(device, 5, AttemptOutcome.RECEIVED, answered_after=4)
        attempt(device, 120, AttemptOutcome.RECEIVED, answered_after=0.5)
    attempt(device, 6, AttemptOutcome.NO_ACK)
    attempt(device, 7, AttemptOutcome.NOT_SENT)
    attempt(device, 1, AttemptOutcome.SENT)  # not ended: not counted yet
    attempt(device, 300, AttemptOutcome.NO_ACK)  # long ago
    attempt(device, 8, AttemptOutcome.LOST, adapter="http")

    assert report_deliveries(now=NOW) == 2
    report_deliveries(now=NOW)

    mqtt, http = (AdapterPath.objects.get(pk=name) for name in ("mqtt", "http"))
    assert (mqtt.tries, mqtt.unanswered) == (5, 2)
    assert (mqtt.latency_p50_ms, mqtt.latency_p95_ms) == (4_000, 4_000)
    assert mqtt.usual_p95_ms == 500
    assert (http.tries, http.unanswered, http.latency_p95_ms) == (1, 1, None)


def test_failed_commands_of_a_device_are_reported_once_and_it_recovers() -> None:
    unit = Unit(DeviceFactory.create())
    unit.come_online()

    def ask(status: str) -> None:
        command, _ = request_command(
            device=unit.device,
            name="identify",
            params={},
            policy=None,
            idempotency_key=str(new_public_id()),
            actor=None,
        )
        deliver()
        unit.result(command, status=status)

    ask("failed")
    ask("failed")
    while report_outcomes_across_tenants(now=timezone.now()):
        pass

    tally = CommandTally.objects.get(pk=unit.device.pk)
    assert (tally.failed, tally.ended) == (2, 2)
    rescore_across_tenants(now=timezone.now())
    risk = get_risk(unit.device)
    assert risk is not None
    assert risk["reasons"][0]["text"] == "2 of its last 2 commands failed"

    Command.objects.filter(device=unit.device).update(status="cancelled")
    OutcomeToTell.objects.create(device_id=unit.device.pk)
    report_outcomes_across_tenants(now=timezone.now())
    rescore_across_tenants(now=timezone.now())
    recovered = get_risk(unit.device)
    assert recovered is not None
    assert (recovered["score"], recovered["reasons"]) == (0, [])


def test_the_report_tasks_are_scheduled() -> None:
    scheduled = {entry["task"] for entry in app.conf.beat_schedule.values()}

    assert {"state.rescore", outcomes_task.name, deliveries_task.name} <= scheduled
    assert outcomes_task() == 0
    assert deliveries_task() == 2
