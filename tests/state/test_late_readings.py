"""Late readings: ``history`` fills charts at its own time and changes nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from iotplatform.common.messages import Uplink
from iotplatform.common.partitions import drop_partitions_before, ensure_partitions
from registry.models import Device
from state.models import Alarm, DeadLetter, TelemetryRollup, TelemetrySummary
from state.selectors import latest_telemetry
from state.services import rollups
from state.services.partitions import keep_partitions
from tests.factories import DeviceFactory, TenantFactory
from tests.state.scene import (
    MINUTE,
    arrive,
    make_family,
    presence,
    say,
    standing,
    t,
    uplink,
)
from tests.state.test_alarm_rules import rule_for

TABLE = "state_telemetryrollup"
pytestmark = pytest.mark.django_db


def milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def entry(minutes: float, **metrics: Any) -> dict[str, Any]:
    """Return a reading of so many minutes after the start of the test."""
    return {"ts": milliseconds(t(minutes)), "metrics": metrics}


def points(device: Device, metric: str = "temperature") -> list[tuple[datetime, float]]:
    """Return the last value of each bucket of five minutes, and its time."""
    rows = TelemetryRollup.objects.filter(device=device, metric=metric, step=300)
    return list(rows.order_by("at").values_list("last_at", "last"))


def test_late_readings_fill_charts_at_their_own_time_and_change_nothing_else() -> None:
    device = DeviceFactory.create()
    rule_for(device)
    say(device, "telemetry", t(0), metrics={"temperature": 20})
    before = TelemetrySummary.objects.get(pk=device.pk)

    late = [entry(-120, temperature=99), entry(-30, temperature=98)]
    say(device, "telemetry", t(1), history=late)

    assert points(device) == [(t(-120), 99), (t(-30), 98), (t(0), 20)]
    after = TelemetrySummary.objects.get(pk=device.pk)
    assert (after.latest, after.indexed) == (before.latest, before.indexed)
    assert after.updated_at == before.updated_at
    assert not Alarm.objects.exists()
    assert presence(device).last_activity_at == t(1)  # the message itself is activity
    assert standing(device) == ("online", "")


def test_a_message_may_carry_both_and_only_its_metrics_are_of_now() -> None:
    device = DeviceFactory.create()
    rule_for(device)

    late = [entry(-60, temperature=5, humidity=40)]
    say(device, "telemetry", t(0), metrics={"temperature": 95}, history=late)

    assert points(device) == [(t(-60), 5), (t(0), 95)]
    assert latest_telemetry(device).keys() == {"temperature"}
    assert Alarm.objects.get().message.startswith("temperature is 95")


def test_readings_of_one_bucket_become_one_point_and_a_repeat_is_not_counted() -> None:
    device = DeviceFactory.create()
    at = t(0).replace(minute=0, second=0) - timedelta(hours=3)
    late = [
        {"ts": milliseconds(at + n * MINUTE), "metrics": {"temperature": n}}
        for n in (3, 1, 2)
    ]

    for _ in range(2):
        say(device, "telemetry", t(0), history=late, boot=1, seq=7)
    say(device, "telemetry", t(1), history=late[:1], boot=1, seq=8)

    row = TelemetryRollup.objects.get(device=device, step=3600)
    assert (row.at, row.count, row.total) == (at, 4, 9)
    assert (row.minimum, row.maximum, row.last) == (1, 3, 3)
    assert presence(device).repeats == 1


def test_a_gateway_relays_the_late_readings_of_its_child() -> None:
    gateway, (child,) = make_family()

    late = [entry(-45, temperature=3)]
    arrive(uplink(child, "telemetry", t(0), through=gateway, history=late))

    assert points(child) == [(t(-45), 3)]
    assert points(gateway) == []


def test_an_entry_that_cannot_be_filed_costs_only_itself_and_is_named() -> None:
    device = DeviceFactory.create()
    day = 24 * 60
    late = [
        entry(-7 * day - 1, temperature=1),
        entry(-7 * day + 1, temperature=2),
        entry(9, temperature=3),
        entry(11, temperature=4),
        {"metrics": {"temperature": 5}},
        entry(-60, temperature=None, humidity=50),
    ]

    say(device, "telemetry", t(0), history=late, metrics={"battery": "full"})

    assert [value for _, value in points(device)] == [2, 3]
    assert points(device, "humidity") == [(t(-60), 50)]
    letter = DeadLetter.objects.get()
    assert letter.reason == "bad_metrics"
    assert letter.detail.split("; ") == [
        "metrics.battery: expected `float`, got `str`",
        "history.4.ts: missing",
        "history.5.metrics.temperature: expected `float`, got `null`",
        "history.0.ts: more than 7 days old",
        "history.3.ts: more than 10 minutes in the future",
    ]


@pytest.mark.parametrize("off", [-40 * 365 * 24 * 60, -60, 60])
def test_a_wrong_clock_that_the_message_shows_is_taken_into_account(off: int) -> None:
    device = DeviceFactory.create()
    late = [entry(off - 90, temperature=1), entry(off + 20, temperature=2)]

    say(device, "telemetry", t(0), ts=milliseconds(t(off)), history=late)

    assert presence(device).clock_skew
    assert points(device) == [(t(-90), 1)]
    assert "history.1.ts: more than 10 minutes" in DeadLetter.objects.get().detail


def test_readings_of_seven_days_find_the_partition_of_their_day() -> None:
    device = DeviceFactory.create()
    now = datetime.now(UTC)
    keep_partitions(now=now)  # the tests' database may be of yesterday
    days = [now - timedelta(days=n) for n in (0, 1, 6, 7)]
    stamps = [milliseconds(day) + 60_000 for day in days]

    history = [{"ts": ts, "metrics": {"a": 1}} for ts in stamps]
    arrive(uplink(device, "telemetry", now, history=history))

    expected = {f"{datetime.fromtimestamp(ts / 1000, UTC):%Y%m%d}" for ts in stamps}
    assert _partitions(device) == expected


def test_a_partition_that_is_made_late_takes_the_rows_of_its_day_and_is_dropped() -> (
    None
):
    device = DeviceFactory.create()
    long_ago = datetime(2020, 5, 5, 12, tzinfo=UTC)
    history = [{"ts": milliseconds(long_ago), "metrics": {"a": 1}}]
    arrive(uplink(device, "telemetry", long_ago, history=history))
    assert _partitions(device) == {"default"}

    ensure_partitions(TABLE, today=long_ago.date())
    assert _partitions(device) == {"20200505"}
    assert points(device, "a") == [(long_ago, 1)]

    drop_partitions_before(TABLE, first_kept=long_ago.date() + timedelta(days=1))
    assert points(device, "a") == []


def _partitions(device: Device) -> set[str]:
    """Return where the rows of a device are stored: ``default``, or the day."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT tableoid::regclass::text FROM state_telemetryrollup"
            " WHERE device_id = %s AND step = 300",
            [device.pk],
        )
        return {name.rpartition("_")[2] for (name,) in cursor.fetchall()}


def test_late_readings_never_change_the_points_of_an_earlier_owner() -> None:
    device = DeviceFactory.create()
    say(device, "telemetry", t(-60), metrics={"temperature": 20})
    earlier = TenantFactory.create()
    TelemetryRollup.objects.filter(device=device).update(tenant=earlier)
    old = TelemetryRollup.objects.filter(tenant=earlier, step=300).values()
    kept = list(old)

    late = [entry(-60, temperature=99), entry(-30, temperature=98)]
    say(device, "telemetry", t(0), history=late)

    assert list(old.all()) == kept
    assert points(device) == [(t(-60), 20), (t(-30), 98)]


def test_a_batch_full_of_history_is_written_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rollups, "MOST_BUCKETS", 100)
    devices = DeviceFactory.create_batch(3)
    late = [entry(-5 * n, temperature=n) for n in range(1, 201)]
    batch: list[Uplink] = [uplink(d, "telemetry", t(0), history=late) for d in devices]

    arrive(*batch)

    for device in devices:
        assert len(points(device)) == 200
