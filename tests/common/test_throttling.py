"""Requests are counted for each key; without Redis, all requests are allowed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from iotplatform.common.throttling import PerKeyThrottle, parse_rate

URL = "/api/v1/devices/"


@pytest.fixture(autouse=True)
def redis_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget that Redis was away in an earlier test: it would not be asked for 10 s."""
    monkeypatch.setattr(PerKeyThrottle, "resting_until", 0.0)


@pytest.fixture
def three_a_day(settings: Any, time_machine: Any) -> None:
    time_machine.move_to(
        datetime.now(UTC), tick=False
    )  # in one window, at midnight too
    cache.clear()
    rates = {**settings.REST_FRAMEWORK["DEFAULT_THROTTLE_RATES"], "key": "3/day"}
    settings.REST_FRAMEWORK = {
        **settings.REST_FRAMEWORK,
        "DEFAULT_THROTTLE_RATES": rates,
    }


@pytest.fixture
def dead_redis(settings: Any) -> None:
    caches = {**settings.CACHES}
    caches["default"] = {**caches["default"], "LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = caches


def test_too_many_requests_of_one_key_are_429_and_other_keys_still_work(
    three_a_day: None, manager: APIClient, viewer: APIClient
) -> None:
    statuses = [manager.get(URL).status_code for _ in range(4)]
    refused = manager.get(URL)

    assert statuses == [200, 200, 200, 429]
    assert refused["Content-Type"] == "application/problem+json"
    assert int(refused["Retry-After"]) > 0
    assert viewer.get(URL).status_code == 200


def test_without_redis_requests_are_not_limited(
    three_a_day: None, dead_redis: None, manager: APIClient
) -> None:
    assert [manager.get(URL).status_code for _ in range(5)] == [200] * 5


def test_a_rate_is_parsed() -> None:
    assert parse_rate("6000/min") == (6_000, 60)
    assert parse_rate("10/second") == (10, 1)
