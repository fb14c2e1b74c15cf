"""Reports of the command plane to state: how commands end, how adapters deliver."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from math import ceil
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from commands.choices import AttemptOutcome
from commands.latency_buckets import bucket_of, percentile
from commands.models import Attempt, Command, DeliveryMinute, OutcomeToTell
from commands.selectors.delivery_stats import adapter_latencies
from commands.services.commands import request_command
from commands.services.delivery_minutes import count_unanswered, delete_old_minutes
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
from tests.commands.units import Unit, ask, deliver, sweep
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
    attempt(device, 1, AttemptOutcome.SENT)  # not ended: not counted yet
    count_unanswered(["mqtt", "mqtt"], now=NOW - timedelta(minutes=6))
    count_unanswered(["mqtt"], now=NOW - timedelta(minutes=300))  # long ago
    count_unanswered(["http"], now=NOW - timedelta(minutes=8))

    assert report_deliveries(now=NOW) == 2
    report_deliveries(now=NOW)

    mqtt, http = (AdapterPath.objects.get(pk=name) for name in ("mqtt", "http"))
    assert (mqtt.tries, mqtt.unanswered) == (5, 2)
    assert mqtt.latency_p50_ms == mqtt.latency_p95_ms == pytest.approx(4_000, rel=0.03)
    assert mqtt.usual_p95_ms == pytest.approx(500, rel=0.03)
    assert (http.tries, http.unanswered, http.latency_p95_ms) == (1, 1, None)


def test_an_attempt_is_counted_once_however_often_deliveries_are_reported() -> None:
    device = DeviceFactory.create()
    for minutes_ago in (5, 4.9, 0.01):
        attempt(device, minutes_ago, AttemptOutcome.RECEIVED, answered_after=0.1)

    for seconds in (0, 30, 60):
        report_deliveries(now=NOW + timedelta(seconds=seconds))

    assert sum(m.answered for m in DeliveryMinute.objects.all()) == 3
    latencies = [sum(m.latencies.values()) for m in DeliveryMinute.objects.all()]
    assert sum(latencies) == 3


def test_the_last_hours_latency_includes_what_is_in_no_minute_yet() -> None:
    device = DeviceFactory.create()
    attempt(device, 30, AttemptOutcome.RECEIVED, answered_after=2)
    report_deliveries(now=NOW)
    attempt(device, 0.01, AttemptOutcome.RECEIVED, answered_after=0.2)

    found = adapter_latencies(now=NOW)

    assert found["mqtt"]["latency_p50_ms"] == pytest.approx(200, rel=0.03)
    assert found["mqtt"]["latency_p95_ms"] == pytest.approx(2_000, rel=0.03)
    assert found["http"] == {"latency_p50_ms": None, "latency_p95_ms": None}


def test_a_command_without_an_answer_counts_when_it_is_given_up() -> None:
    unit = Unit(DeviceFactory.create())
    unit.come_online()
    ask(unit)
    deliver()

    at = timezone.now() + timedelta(minutes=2)
    sweep(at)

    (minute,) = DeliveryMinute.objects.all()
    assert (minute.adapter, minute.answered, minute.unanswered) == ("mqtt", 0, 1)
    assert minute.minute <= at < minute.minute + timedelta(minutes=1)


def test_minutes_are_kept_for_48_hours() -> None:
    for hours in (1, 47, 49):
        count_unanswered(["mqtt"], now=NOW - timedelta(hours=hours))

    assert delete_old_minutes(now=NOW) == 1


@given(
    st.lists(st.floats(1, 3.6e6), min_size=1, max_size=200),
    st.sampled_from([0.5, 0.95, 1.0]),
)
def test_a_percentile_of_a_histogram_is_near_the_exact_one(
    values: list[float], share: float
) -> None:
    counts = Counter(map(bucket_of, values))

    found = percentile(counts, share)

    exact = sorted(values)[max(0, ceil(share * len(values)) - 1)]
    assert found == pytest.approx(exact, rel=0.03)


def test_failed_commands_of_a_device_are_reported_once_and_it_recovers() -> None:
    unit = Unit(DeviceFactory.create())
    unit.come_online()

    def end_one(status: str) -> None:
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

    end_one("failed")
    end_one("failed")
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
