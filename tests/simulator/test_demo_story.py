"""What has happened in the demo's three days, and that a killed load is completed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.db.models import F
from django.test import override_settings

from commands.models import Command, Job
from commands.selectors.job_tallies import tally_jobs
from fleet.models import Cohort
from iotplatform.simulator.demo.fleet import SEED, demo_devices
from iotplatform.simulator.demo.history import load_past
from iotplatform.simulator.demo.load import load_fleet
from iotplatform.simulator.demo.targets import demo_targets_across_tenants
from iotplatform.simulator.demo.waiting import has_spoken_across_tenants
from iotplatform.simulator.device import SimulatedDevice
from iotplatform.simulator.memory import Memory
from iotplatform.simulator.profiles import PROFILES
from iotplatform.simulator.targets import Target
from registry.models import FirmwareRelease, LifecycleMove
from state.models import (
    Alarm,
    AlarmRule,
    DeadLetter,
    MaintenanceWindow,
    Risk,
    TelemetryRollup,
    Twin,
)

KEY = b"0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 12, 1, 9, 17, 3, tzinfo=UTC)
OUTCOMES = {
    "verified",
    "succeeded",
    "failed",
    "timed_out",
    "unknown",
    "expired",
    "cancelled",
    "superseded",
}


def load(size: int, *, now: datetime = NOW) -> None:
    load_fleet(size, key=KEY)
    load_past(demo_devices(size), heard_at=None, now=now)


def warmth_of(target: Target) -> float:
    """Return what the simulated device measures now."""
    profile = PROFILES[target.profile or ""]
    device = SimulatedDevice(target, Memory(), profile=profile, seed=SEED)
    return device.measure(60)["temperature"]


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, settings: Any) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture(scope="module")
def lived(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: Any
) -> Iterator[None]:
    """A fleet of fifty and its past, which several tests read."""
    with (
        override_settings(MEDIA_ROOT=tmp_path_factory.mktemp("media")),
        django_db_blocker.unblock(),
        transaction.atomic(),
    ):
        load(50)
        yield
        transaction.set_rollback(True)


def test_no_device_moved_before_it_was_registered(lived: None, db: None) -> None:
    moves = LifecycleMove.objects.filter(at__lt=F("device__created_at"))

    assert LifecycleMove.objects.exists()
    assert not moves.exists()


def test_the_demo_has_lived_for_three_days(lived: None, db: None) -> None:
    done = Job.objects.get(name="Status lights off")
    stopped = Job.objects.get(name__startswith="Firmware")
    restart = Job.objects.get(name__startswith="Restart")
    assert (done.status, stopped.status, restart.status) == (
        *("completed", "stopped", "completed"),
    )
    assert "above the failure threshold" in stopped.stop_reason
    (tally,) = tally_jobs([restart.pk])[restart.pk].values()
    failures = {"rejected", "execution_failed", "unknown_outcome", "no_ack"}
    assert set(tally.by_failure_class) == failures
    assert tally.succeeded > tally.failed
    single = Command.objects.filter(job=None)
    ended = single.filter(ended_at__isnull=False)
    assert set(ended.values_list("status", flat=True)) == OUTCOMES
    waiting = Command.objects.get(ended_at__isnull=True)
    assert (waiting.status, waiting.device.lifecycle) == ("held", "provisioned")
    assert Command.objects.filter(created_at__gte=NOW).count() == 0
    assert set(Alarm.objects.values_list("state", flat=True)) == {
        *("raised", "acknowledged", "cleared"),
    }
    hot = Alarm.objects.filter(code="overheating").exclude(state="cleared")
    troubled = {device.uid for device in demo_devices(50) if device.is_troubled}
    assert set(hot.values_list("device__uid", flat=True)) == troubled
    assert AlarmRule.objects.filter(enabled=True).count() == 2
    assert Cohort.objects.count() == 2
    by_people = MaintenanceWindow.objects.filter(origin="")
    assert by_people.filter(until__lt=NOW).count() == 1
    assert by_people.filter(from_at__lt=NOW, until__gt=NOW).count() == 1
    reasons = set(DeadLetter.objects.values_list("reason", flat=True))
    assert reasons == {
        *("bad_message", "bad_json", "bad_metrics", "bad_topic"),
        *("unknown_device", "gateway_mismatch"),
    }
    risky = Risk.objects.filter(score__gt=40)
    assert 2 <= risky.count() <= len(troubled)
    assert set(risky.values_list("device__uid", flat=True)) <= troubled
    releases = FirmwareRelease.objects.values_list("version", flat=True)
    assert set(releases) == {"1.4.2", "1.5.0"}


def test_live_devices_go_on_where_the_past_ended(lived: None, db: None) -> None:
    assert not has_spoken_across_tenants()
    targets = {target.uid: target for target in demo_targets_across_tenants()}

    twins = Twin.objects.filter(device__uid__in=targets)
    assert twins.count() == len(targets)
    for uid, reported in twins.values_list("device__uid", "reported"):
        own = {"firmware", "config_version"}
        assert reported["interval"] == 60
        assert targets[uid].firmware == reported["firmware"]
        assert targets[uid].config == {k: reported[k] for k in reported.keys() - own}
    troubled = {device.uid for device in demo_devices(50) if device.is_troubled}
    assert troubled == {
        uid
        for uid, target in targets.items()
        if PROFILES[target.profile or ""].drop_seconds
    }
    assert all(warmth_of(targets[uid]) > 32 for uid in troubled)
    sensors = [t for uid, t in targets.items() if uid.startswith("s1-")]
    assert all(warmth_of(t) < 31 for t in sensors if t.uid not in troubled)


def test_telemetry_fills_three_days_and_troubled_sensors_are_always_warmer(
    lived: None, db: None
) -> None:
    rows = TelemetryRollup.objects.filter(metric="temperature", step=300)
    assert rows.filter(at__lt=NOW - timedelta(hours=25)).exists()
    assert rows.filter(at__gt=NOW - timedelta(minutes=10)).exists()
    troubled = [device.uid for device in demo_devices(50) if device.is_troubled]
    warm = rows.filter(device__uid__in=troubled)
    others = rows.exclude(device__uid__in=troubled)
    coolest = min(warm.values_list("minimum", flat=True))
    assert max(others.values_list("maximum", flat=True)) < 31 < 32 < coolest
    hours = timedelta(hours=1)
    whole = rows.filter(at__range=(NOW - 25 * hours, NOW - hours))
    assert set(whole.values_list("count", flat=True)) == {5, 6}
    hour = TelemetryRollup.objects.filter(metric="temperature", step=3_600)
    assert hour.filter(at__lt=NOW - timedelta(hours=71)).exists()
    assert hour.order_by("-count").values_list("count", flat=True).first() == 61
