"""A load of the demo fleet that is killed is completed; tiny fleets load too."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from commands.models import Job
from iotplatform.simulator.demo import history
from iotplatform.simulator.demo.fleet import demo_devices
from iotplatform.simulator.demo.history import load_past
from iotplatform.simulator.demo.load import load_fleet
from iotplatform.simulator.demo.targets import demo_targets_across_tenants
from registry.models import Device
from state.models import (
    Presence,
    TelemetryRollup,
)

KEY = b"0123456789abcdef0123456789abcdef"
NOW = datetime(2026, 12, 1, 9, 17, 3, tzinfo=UTC)


def load(size: int, *, now: datetime = NOW) -> None:
    load_fleet(size, key=KEY)
    load_past(demo_devices(size), heard_at=None, now=now)


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, settings: Any) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"


class Killed(Exception):
    """Stands for the end of the process."""


def test_a_load_that_is_killed_is_completed_by_the_next_one(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "BATCH", 20)
    lived_through = history._live_through
    calls = iter([lived_through, None])

    def kill_the_second(*args: Any) -> int:
        if (go_on := next(calls)) is None:
            raise Killed
        return go_on(*args)

    monkeypatch.setattr(history, "_live_through", kill_the_second)
    with pytest.raises(Killed):
        load(40)
    half = set(Presence.objects.values_list("device__uid", flat=True))
    monkeypatch.setattr(history, "_live_through", lived_through)

    heard_at = history.last_heard_at()
    load_fleet(40, key=KEY)
    load_past(demo_devices(40), heard_at=heard_at, now=NOW + timedelta(minutes=1))

    whole = set(Presence.objects.values_list("device__uid", flat=True))
    assert half < whole == {target.uid for target in demo_targets_across_tenants()}
    assert Job.objects.count() == 3
    rows = TelemetryRollup.objects.filter(metric="temperature", step=3_600)
    hours = Counter(rows.values_list("device__uid", flat=True))
    sensors = Device.objects.filter(uid__in=whole, product__slug="sensor-s1")
    assert {hours[uid] for uid in sensors.values_list("uid", flat=True)} <= {72, 73}


@pytest.mark.parametrize("size", [1, 5, 11])
def test_a_fleet_too_small_for_a_part_of_the_story_is_loaded(
    db: None, size: int
) -> None:
    load(size)

    load_past(demo_devices(size), heard_at=NOW, now=NOW)

    assert Presence.objects.count() == len(demo_targets_across_tenants())
