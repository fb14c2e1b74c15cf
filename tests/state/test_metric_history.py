"""The history of a metric over REST: limited, with its unit, without empty buckets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from registry.models import Device
from tests.factories import DeviceFactory, MembershipFactory
from tests.state.scene import say

pytestmark = pytest.mark.django_db
HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)


def measured() -> Device:
    """Store two values in one bucket, a gap of ten minutes, and one more value."""
    device: Device = DeviceFactory.create()
    for minute, value in ((0, 4.0), (2, 8.0), (15, 6.0)):
        at = HOUR + timedelta(minutes=minute)
        say(device, "telemetry", at, metrics={"temperature": value})
    return device


def ask(device: Device, **query: Any) -> Any:
    client = APIClient()
    client.force_authenticate(MembershipFactory.create(tenant=device.tenant).user)
    return client.get(f"/api/v1/devices/{device.uid}/telemetry/", query)


def later(**by: float) -> str:
    return (HOUR + timedelta(**by)).isoformat()


def test_a_metric_history_has_buckets_with_a_unit_and_leaves_out_empty_ones() -> None:
    device = measured()

    body = ask(
        device, metric="temperature", **{"from": later()}, to=later(hours=1)
    ).json()

    assert (body["metric"], body["unit"], body["step"]) == ("temperature", "°C", 300)
    assert [datetime.fromisoformat(p["at"]) for p in body["points"]] == [
        HOUR,
        HOUR + timedelta(minutes=15),
    ]
    first = {name: body["points"][0][name] for name in ("min", "max", "mean", "last")}
    assert first == {"min": 4, "max": 8, "mean": 6, "last": 8}
    assert [p["count"] for p in body["points"]] == [2, 1]
    assert datetime.fromisoformat(body["from"]) == HOUR


def test_the_range_begins_with_the_bucket_that_contains_its_start() -> None:
    device = measured()
    query = {"from": later(minutes=17), "to": later(hours=2)}

    assert len(ask(device, metric="temperature", **query).json()["points"]) == 1
    hours = ask(device, metric="temperature", step=3600, **query).json()
    assert [(p["count"], p["last"]) for p in hours["points"]] == [(3, 6)]


@pytest.mark.parametrize(("days", "step"), [(1, 300), (2, 300), (3, 3600), (90, 3600)])
def test_auto_chooses_a_step_that_fits_a_chart(days: int, step: int) -> None:
    device: Device = DeviceFactory.create()

    body = ask(device, metric="odd", **{"from": later(days=-days)}, to=later()).json()

    assert (body["step"], body["unit"], body["points"]) == (step, None, [])


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, "metric"),
        ({"metric": ""}, "metric"),
        ({"metric": "x" * 65}, "metric"),
        ({"metric": "a\0b"}, "metric"),
        ({"metric": "t", "step": "60"}, "step"),
        ({"metric": "t", "from": "yesterday"}, "from"),
        ({"metric": "t", "to": "2026-01-01"}, "to"),
        ({"metric": "t", "from": later(days=1), "to": later()}, "from"),
        ({"metric": "t", "step": "300", "from": later(days=-10)}, "from"),
        ({"metric": "t", "from": "1900-01-01T00:00:00Z"}, "from"),
    ],
)
def test_an_empty_or_too_long_range_is_refused_with_its_field(
    query: dict[str, str], field: str
) -> None:
    answer = ask(DeviceFactory.create(), **query)

    assert answer.status_code == 400
    assert [row["field"] for row in answer.json()["errors"]] == [field]


def test_a_device_of_another_tenant_is_not_found() -> None:
    device, stranger = measured(), APIClient()
    stranger.force_authenticate(MembershipFactory.create().user)

    answer = stranger.get(f"/api/v1/devices/{device.uid}/telemetry/?metric=temperature")

    assert answer.status_code == 404
