"""The trial of a rule: the alarms it would have raised in the last week."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from registry.models import Device
from state.models import Alarm, TelemetryRollup
from state.selectors.rule_trial import Trial, try_rule
from state.services.partitions import keep_partitions
from tests.factories import DeviceFactory
from tests.state.scene import T0, t
from tests.state.test_alarms import client_of

pytestmark = pytest.mark.django_db
URL = "/api/v1/alarm-rules/try/"
STEP = timedelta(minutes=5)


def measured(device: Device, *values: tuple[float, float] | None) -> None:
    """Store rollups up to now, the oldest first; None is a gap."""
    keep_partitions(now=T0)
    begin = T0 - len(values) * STEP
    TelemetryRollup.objects.bulk_create(
        TelemetryRollup(
            tenant=device.tenant,
            device=device,
            metric="temperature",
            step=300,
            at=begin + number * STEP,
            minimum=value[0],
            maximum=value[1],
            total=sum(value),
            count=2,
            last=value[1],
            last_at=begin + number * STEP,
        )
        for number, value in enumerate(values)
        if value
    )


def raises(device: Device, **fields: Any) -> int:
    values: dict[str, Any] = {
        **{"metric": "temperature", "comparison": ">", "threshold": 80.0}
    }
    trial = Trial(**(values | fields))
    found: int = try_rule(device.product, trial, now=T0)["raises"]
    return found


def test_each_period_beyond_the_threshold_is_one_alarm() -> None:
    device = DeviceFactory.create()
    measured(device, (70, 79), (79, 81), (80, 90), (70, 80), (81, 81), None, (82, 85))

    assert raises(device) == 2
    assert raises(device, hysteresis=5) == 1
    assert raises(device, threshold=90.0) == 0
    assert raises(device, threshold=90.0, comparison=">=") == 1
    assert raises(device, threshold=75.0, comparison="<") == 2
    assert raises(device, threshold=70.0, comparison="<=", hysteresis=20.0) == 1


def test_a_period_shorter_than_the_hold_time_is_no_alarm() -> None:
    device = DeviceFactory.create()
    measured(device, (81, 81), (70, 70), (81, 81), (82, 82), (70, 70))

    assert raises(device, hold_seconds=300) == 2
    assert raises(device, hold_seconds=301) == 1
    assert raises(device, hold_seconds=601) == 0


def test_a_trial_counts_alarms_by_device_and_day_and_saves_nothing() -> None:
    device = DeviceFactory.create()
    calm, silent = (
        DeviceFactory.create(tenant=device.tenant, product=device.product)
        for _ in range(2)
    )
    measured(device, (81, 81), (70, 70), (81, 81))
    measured(calm, (20, 21))

    body = {
        **{"product": device.product.slug, "metric": "temperature"},
        **{"comparison": ">", "threshold": 80},
    }
    answer = client_of(device, "manager").post(URL, body, format="json")

    assert answer.status_code == 200, answer.content
    result = answer.json()
    expected = {"of_product": 3, "tried": 3, "measured": 2, "raising": 1}
    assert result["devices"] == expected
    assert result["raises"] == sum(day["raises"] for day in result["per_day"]) == 2
    assert [row["device"] for row in result["worst"]] == [device.uid]
    assert silent.uid not in answer.content.decode()
    assert not Alarm.objects.exists()


def test_only_a_manager_of_the_products_tenant_may_try_a_rule() -> None:
    device = DeviceFactory.create()
    body = {
        **{"product": device.product.slug, "metric": "temperature"},
        **{"comparison": ">", "threshold": 80},
    }
    stranger = client_of(DeviceFactory.create(), "manager")

    assert client_of(device).post(URL, body, format="json").status_code == 403
    theirs = stranger.post(URL, body, format="json")
    assert theirs.status_code == 400
    assert theirs.json()["errors"][0]["field"] == "product"


@pytest.mark.parametrize("wrong", ["nan", "1e999", "-inf", "warm"])
def test_a_threshold_must_be_a_finite_number(wrong: str) -> None:
    device = DeviceFactory.create()
    body = {
        **{"product": device.product.slug, "metric": "temperature"},
        **{"comparison": ">", "threshold": wrong},
    }

    answer = client_of(device, "manager").post(URL, body, format="json")

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "threshold"


def test_values_of_an_earlier_owner_and_of_an_earlier_week_do_not_count() -> None:
    device, other = DeviceFactory.create_batch(2)
    measured(device, (81, 81))
    TelemetryRollup.objects.update(tenant=other.tenant)

    assert raises(device) == 0
    TelemetryRollup.objects.update(tenant=device.tenant)
    trial = Trial("temperature", ">", 80)
    later = try_rule(device.product, trial, now=t(7 * 24 * 60 + 1))
    assert later["raises"] == 0
