"""How requests give instants."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.urls import get_resolver
from django_filters import FilterSet, IsoDateTimeFilter
from rest_framework.test import APIClient

from iotplatform.common.instants import InstantFilter, read_instant
from tests.factories import DeviceFactory, MembershipFactory

ODD = "2026-01-01T00:00:00+16:30"  # a larger offset than PostgreSQL accepts
BEYOND = "9999-12-31T23:59:59-14:00"


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-01-01", "2026-01-01T00:00:00", "2026-13-01T00:00Z", BEYOND],
)
def test_text_that_is_not_an_instant_is_read_as_none(text: str) -> None:
    assert read_instant(text) is None


def test_an_instant_is_converted_to_utc() -> None:
    assert read_instant(ODD) == datetime(2025, 12, 31, 7, 30, tzinfo=UTC)
    assert read_instant(ODD).tzinfo is UTC  # type: ignore[union-attr]


@pytest.mark.django_db
def test_an_unusual_offset_is_accepted_and_an_instant_out_of_range_is_refused() -> None:
    device = DeviceFactory.create()
    api = APIClient()
    api.force_authenticate(MembershipFactory.create(tenant=device.tenant).user)
    timeline = f"/api/v1/devices/{device.uid}/timeline/"

    def refused(path: str, name: str, text: str) -> list[str]:
        answer = api.get(path, {name: text})
        return [error["field"] for error in answer.json().get("errors", [])]

    assert refused(timeline, "before", ODD) == []
    assert refused(timeline, "before", BEYOND) == ["before"]
    assert refused("/api/v1/commands/", "created_after", ODD) == []
    assert refused("/api/v1/commands/", "created_after", BEYOND) == ["created_after"]


def filter_sets(kind: type[FilterSet] = FilterSet) -> list[type[FilterSet]]:
    found = kind.__subclasses__()
    return [*found, *(deeper for each in found for deeper in filter_sets(each))]


def test_every_filter_by_time_converts_to_utc() -> None:
    assert get_resolver().url_patterns  # this imports all views and their filters
    found = {
        f"{kind.__module__}.{kind.__name__}.{name}": each
        for kind in filter_sets()
        for name, each in kind.base_filters.items()
        if isinstance(each, IsoDateTimeFilter)
    }

    assert len(found) > 5
    assert not [
        name for name, each in found.items() if not isinstance(each, InstantFilter)
    ]
