"""Risk: the points of the reasons add up; only marked devices are judged again."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.test import APIClient

from commands.choices import CommandStatus
from commands.services.outcome_reports import report_outcomes_across_tenants
from commands.services.transitions import Moves, lock_commands
from fleet.models import Outbox
from registry.models import Device
from state.choices import Cause, Connectivity
from state.judgment.risk import MOST, WEIGHTS, RiskFacts, assess
from state.models import Alarm, Presence, Risk, RiskMark, TelemetrySummary, Twin
from state.services.delivery_outcomes import Outcomes, record_outcomes
from state.services.presence.backfill import PastTransition, backfill_history
from state.services.rescoring import rescore_across_tenants
from tests.factories import DeviceFactory, MembershipFactory, ProductFactory
from tests.fleet.rows import make_command
from tests.state.scene import T0, be_born, say, sweep, t, will
from tests.waiting import PATIENCE

moments = st.datetimes(
    min_value=datetime(2026, 1, 1), max_value=datetime(2026, 2, 1)
).map(lambda at: at.replace(tzinfo=T0.tzinfo))
counts = st.integers(0, 30)
NOW = datetime(2026, 2, 1, tzinfo=T0.tzinfo)
FACTS = st.builds(
    RiskFacts,
    connectivity=st.sampled_from([c.value for c in Connectivity]),
    cause=st.sampled_from([c.value for c in Cause]),
    since=st.none() | moments,
    disconnects_72h=counts,
    has_drift=st.booleans(),
    desired_at=st.none() | moments,
    commands_ended=counts,
    commands_failed=counts,
    alarms_info=counts,
    alarms_warning=counts,
    alarms_critical=counts,
    battery=st.none() | st.floats(-10, 1_000, allow_nan=False),
)


@given(FACTS)
def test_the_points_add_up_to_the_score_which_is_0_to_100(facts: RiskFacts) -> None:
    judged = assess(facts, now=NOW)

    assert judged.score == sum(reason.points for reason in judged.reasons)
    assert 0 <= judged.score <= 100
    assert all(reason.points > 0 and reason.text for reason in judged.reasons)
    assert len({reason.name for reason in judged.reasons}) == len(judged.reasons)
    assert judged.next_change_at is None or judged.next_change_at > NOW


@given(
    FACTS,
    st.sampled_from(
        [
            *("disconnects_72h", "commands_failed", "alarms_info"),
            *("alarms_warning", "alarms_critical", "battery", "has_drift"),
        ]
    ),
    st.integers(1, 20),
)
def test_worse_facts_never_lower_the_score(
    facts: RiskFacts, name: str, more: int
) -> None:
    value = getattr(facts, name)
    if name == "battery":
        worse = (100.0 if value is None else value) - more
    else:
        worse = True if name == "has_drift" else value + more

    changed: dict[str, Any] = {name: worse}
    worse_facts = replace(facts, **changed)

    assert assess(worse_facts, now=NOW).score >= assess(facts, now=NOW).score


@given(FACTS, st.integers(0, 100))
def test_time_alone_never_lowers_the_score_and_changes_it_only_when_announced(
    facts: RiskFacts, hours: int
) -> None:
    now, later = assess(facts, now=NOW), NOW + timedelta(hours=hours)

    then = assess(facts, now=later)

    assert then.score >= now.score
    if now.next_change_at is None or later < now.next_change_at:
        assert then.reasons == now.reasons


def test_the_table_rises_and_its_maxima_add_up_to_100() -> None:
    for steps in WEIGHTS.values():
        assert list(steps) == sorted(steps)
        assert [points for _, points in steps] == sorted(p for _, p in steps)

    assert sum(MOST.values()) - min(MOST["offline"], MOST["stale"]) == 100


def test_each_reason_has_a_sentence() -> None:
    facts = RiskFacts(
        connectivity=Connectivity.OFFLINE,
        cause=Cause.LAST_WILL,
        since=NOW - timedelta(hours=25),
        disconnects_72h=6,
        has_drift=True,
        desired_at=NOW - timedelta(hours=2),
        commands_ended=9,
        commands_failed=3,
        alarms_warning=2,
        battery=12.5,
    )

    judged = assess(facts, now=NOW)

    assert [(r.name, r.points, r.text) for r in judged.reasons] == [
        ("offline", 25, "offline for more than a day: connection lost (last will)"),
        ("flapping", 15, "6 abnormal disconnects in 72 hours"),
        ("command_failures", 12, "3 of its last 9 commands failed"),
        ("alarms", 10, "2 open warning alarms"),
        ("drift", 10, "settings not applied for over an hour"),
        ("battery", 5, "battery at 12.5 %"),
    ]
    assert judged.score == 77


def test_an_outage_of_the_platform_is_no_risk_of_a_device() -> None:
    blind = RiskFacts(connectivity=Connectivity.STALE, cause=Cause.PLATFORM_BLIND)

    assert assess(blind, now=NOW).score == 0


def risk(device: Device) -> tuple[int, list[str]]:
    row = Risk.objects.get(pk=device.pk)
    return row.score, [reason["name"] for reason in row.reasons]


def rescore(at: datetime) -> None:
    """Judge the risk of marked and due devices."""
    while rescore_across_tenants(now=at):
        pass


@pytest.mark.django_db
def test_changes_mark_a_device_for_risk_and_a_heartbeat_does_not() -> None:
    device = DeviceFactory.create()
    be_born(device, t(0))
    rescore(t(0))
    assert risk(device) == (0, [])
    say(device, "heartbeat", t(0.5))
    assert not RiskMark.objects.exists()

    will(device, t(1), "s1")
    rescore(t(1))
    assert risk(device) == (18, ["offline"])

    say(device, "event", t(2), code="hot", severity="critical", state="raised")
    be_born(device, t(2), "s2")
    will(device, t(3), "s2")
    rescore(t(3))
    assert risk(device) == (43, ["alarms", "offline", "flapping"])

    say(device, "event", t(4), code="hot", severity="critical", state="cleared")
    rescore(t(4))
    assert risk(device) == (5, ["flapping"])


@pytest.mark.django_db
def test_risk_changes_by_time_alone_at_its_announced_time() -> None:
    device = DeviceFactory.create()
    be_born(device, t(0))
    will(device, t(1), "s1")
    rescore(t(1))

    assert rescore_across_tenants(now=t(24 * 60)) == 0
    rescore(t(24 * 60 + 1))
    assert risk(device) == (25, ["offline"])

    sweep(t(72 * 60 + 1))
    rescore(t(72 * 60 + 1))
    assert risk(device) == (25, ["offline"])
    assert Risk.objects.get(pk=device.pk).next_change_at is None


@pytest.mark.django_db
def test_drift_battery_and_command_failures_count_for_risk() -> None:
    product = ProductFactory.create(metrics=[{"name": "battery", "unit": "%"}])
    device = DeviceFactory.create(tenant=product.tenant, product=product)
    be_born(device, t(0))
    say(device, "telemetry", t(0), metrics={"battery": 9})
    Twin.objects.create(
        device=device, tenant=device.tenant, delta={"a": {}}, desired_at=t(-90)
    )
    record_outcomes([Outcomes(device.pk, 4, 1, t(0))], at=t(0))

    rescore(t(1))

    assert risk(device) == (24, ["battery", "drift", "command_failures"])
    Twin.objects.filter(pk=device.pk).update(delta={})
    say(device, "telemetry", t(2), metrics={"battery": 100})
    record_outcomes([Outcomes(device.pk, 4, 0, None)], at=t(2))
    rescore(t(2))
    assert risk(device) == (0, [])


@pytest.mark.django_db
def test_a_device_out_of_service_has_no_risk() -> None:
    device = DeviceFactory.create()
    be_born(device, t(0))
    rescore(t(0))

    Device.objects.filter(pk=device.pk).update(lifecycle="retired")
    rescore(t(1))

    assert not Risk.objects.exists()
    assert not RiskMark.objects.exists()


@pytest.mark.django_db
def test_the_command_plane_reports_how_commands_end() -> None:
    device = DeviceFactory.create()
    sent = [make_command(device, status="sent", sent_at=t(0)) for _ in range(3)]
    locked = lock_commands([command.pk for command in sent])
    moves = Moves(now=t(1))
    ends = (CommandStatus.FAILED, CommandStatus.TIMED_OUT, CommandStatus.SENT)
    for command, to in zip(locked.values(), ends, strict=True):
        moves.move(command, to, cause="as it went")
    moves.write()

    assert report_outcomes_across_tenants(now=t(1)) == 1
    assert report_outcomes_across_tenants(now=t(1)) == 0

    rescore(t(2))
    assert risk(device) == (8, ["command_failures"])
    text = Risk.objects.get(pk=device.pk).reasons[0]["text"]
    assert text == "2 of its last 2 commands failed"


@pytest.mark.django_db
def test_many_devices_are_judged_with_a_handful_of_queries(
    django_assert_max_num_queries: Any,
) -> None:
    first = DeviceFactory.create()
    devices = [
        first,
        *DeviceFactory.create_batch(
            30, tenant=first.tenant, site=first.site, product=first.product
        ),
    ]
    Presence.objects.bulk_create(
        Presence(device=d, tenant=d.tenant, connectivity="online", cause="", since=T0)
        for d in devices
    )
    Alarm.objects.bulk_create(
        Alarm(
            tenant=d.tenant,
            device=d,
            code="hot",
            severity="warning",
            raised_at=T0,
            last_at=T0,
        )
        for d in devices
    )

    with django_assert_max_num_queries(12):
        assert rescore_across_tenants(now=T0) == 31

    assert set(Risk.objects.values_list("score", flat=True)) == {10}


@pytest.mark.django_db
def test_only_a_new_score_updates_the_index() -> None:
    device = DeviceFactory.create()
    be_born(device, t(0))
    rescore(t(0))
    Outbox.objects.all().delete()

    Risk.objects.update(at=t(1), next_change_at=t(5))
    assert not Outbox.objects.exists()

    Risk.objects.update(score=7, reasons=[{"name": "x", "points": 7, "text": "x"}])
    assert set(Outbox.objects.values_list("device_id", flat=True)) == {device.pk}


@pytest.mark.django_db
def test_the_api_returns_the_score_with_its_reasons() -> None:
    device = DeviceFactory.create()
    be_born(device, t(0))
    will(device, t(1), "s1")
    rescore(t(1))
    client = APIClient()
    client.force_authenticate(MembershipFactory.create(tenant=device.tenant).user)

    body = client.get(f"/api/v1/devices/{device.uid}/state/").json()

    assert body["risk"]["score"] == 18
    assert body["risk"]["reasons"] == [
        {
            "name": "offline",
            "points": 18,
            "text": "offline: connection lost (last will)",
        }
    ]


@pytest.mark.django_db
def test_a_metric_within_its_dead_band_marks_no_device() -> None:
    product = ProductFactory.create(
        metrics=[{"name": "battery", "unit": "%", "dead_band": 5}]
    )
    device = DeviceFactory.create(tenant=product.tenant, product=product)
    say(device, "telemetry", t(0), metrics={"battery": 50})
    RiskMark.objects.all().delete()

    say(device, "telemetry", t(1), metrics={"battery": 48, "other": 1})

    assert not RiskMark.objects.exists()
    assert TelemetrySummary.objects.get(pk=device.pk).indexed == {"battery": 50}


@pytest.mark.django_db(transaction=True)
def test_parallel_workers_lose_no_mark_and_keep_the_newest_judgment() -> None:
    first = DeviceFactory.create()
    devices = [
        first,
        *DeviceFactory.create_batch(
            19, tenant=first.tenant, site=first.site, product=first.product
        ),
    ]
    for device in devices:
        be_born(device, t(0))
    done = threading.Event()

    def work() -> None:
        try:
            while not done.is_set() or rescore_across_tenants(now=t(9), limit=7):
                rescore_across_tenants(now=t(9), limit=7)
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as pool:
        workers = [pool.submit(work) for _ in range(2)]
        for round_ in range(1, 6):
            for device in devices:
                severity = "critical" if round_ % 2 else "info"
                say(
                    device,
                    "event",
                    t(round_),
                    code="hot",
                    severity=severity,
                    state="raised",
                )
        done.set()
        for worker in workers:
            worker.result(timeout=PATIENCE)

    assert not RiskMark.objects.exists()
    assert set(Risk.objects.values_list("score", flat=True)) == {20}
    assert Risk.objects.count() == 20


@pytest.mark.django_db
def test_backfilled_transitions_count_for_risk() -> None:
    device = DeviceFactory.create()
    lost = PastTransition(device.pk, t(-10 * 24 * 60), "online", "offline", "last_will")

    backfill_history([lost], now=t(0))
    rescore(t(0))

    assert risk(device) == (25, ["offline"])
