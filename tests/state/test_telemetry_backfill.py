"""Backfilled rollups: buckets, hours, and what is there already."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from registry.models import Device
from state.models import TelemetryRollup, TelemetrySummary
from state.services.telemetry_backfill import PastSeries, backfill_rollups
from tests.factories import DeviceFactory

FIRST = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def fill(
    device: Device, means: list[float | None], *, fine_from: datetime = FIRST
) -> int:
    one = PastSeries(device.pk, "temperature", means, spread=0.5)
    return backfill_rollups([one], first_at=FIRST, fine_from=fine_from, samples=5)


def test_buckets_of_five_minutes_and_of_hours_are_inserted(db: None) -> None:
    device = DeviceFactory.create()

    written = fill(device, [20.0, 22.0, None, 24.0, 20.0, 20.0, 30.0])

    assert written == 6 + 2
    fine = TelemetryRollup.objects.filter(device=device, step=300).order_by("at")
    assert [row.at for row in fine] == [
        FIRST + number * 5 * MINUTE for number in (0, 1, 3, 4, 5, 6)
    ]
    second = fine[1]
    assert (second.minimum, second.maximum, second.last) == (21.5, 22.5, 22.0)
    assert (second.total, second.count) == (110.0, 5)
    assert second.last_at == second.at + 4 * MINUTE
    assert {row.tenant_id for row in fine} == {device.tenant_id}
    nine, ten = TelemetryRollup.objects.filter(device=device, step=3_600).order_by("at")
    assert (nine.at, ten.at) == (FIRST - 30 * MINUTE, FIRST + 30 * MINUTE)
    assert (nine.minimum, nine.maximum, nine.count) == (19.5, 24.5, 25)
    assert (nine.total, nine.last) == (530.0, 20.0)
    assert (ten.count, ten.last) == (5, 30.0)
    assert not TelemetrySummary.objects.exists()


def test_a_bucket_that_has_values_stays_as_it_is(db: None) -> None:
    device = DeviceFactory.create()
    fill(device, [20.0])

    fill(device, [40.0, 41.0])

    fine = TelemetryRollup.objects.filter(device=device, step=300).order_by("at")
    assert [row.last for row in fine] == [20.0, 41.0]


def test_before_a_moment_only_hours_are_kept(db: None) -> None:
    device = DeviceFactory.create()

    fill(device, [20.0, 21.0, 22.0], fine_from=FIRST + 10 * MINUTE)

    rows = TelemetryRollup.objects.filter(device=device)
    assert [row.last for row in rows.filter(step=300)] == [22.0]
    assert [row.count for row in rows.filter(step=3_600)] == [15]


def test_a_start_within_a_bucket_is_refused(db: None) -> None:
    one = PastSeries(DeviceFactory.create().pk, "temperature", [20.0], spread=0.0)

    with pytest.raises(ValueError, match="not the start of a bucket"):
        backfill_rollups([one], first_at=FIRST + MINUTE, fine_from=FIRST, samples=5)
