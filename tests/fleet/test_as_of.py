"""``fleet/search/?as_of=``: answers, refusals and access; nothing is forgotten."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from fleet.query.judge import fits
from fleet.query.tree import Wild
from registry.models import Device, PastDevice, Site
from state.migrations._past_twins import START
from state.models import PastStart, PastTwin, Twin
from state.services.partitions import keep_partitions
from tests.commands.test_device_transfer import destination, transfer
from tests.factories import DeviceFactory, SiteFactory
from tests.fleet.pump import (
    FIRST,
    HOUR,
    LATER,
    NEXT,
    NOW,
    SEARCH,
    THEN,
    Reader,
    change_everything,
    make_pump,
    move,
)
from tests.fleet.reference import _fits

pytestmark = pytest.mark.django_db


@pytest.fixture
def device() -> Device:
    return make_pump()


@pytest.fixture
def reader(device: Device) -> Reader:
    return Reader(device)


def test_the_answer_shows_devices_as_they_were(device: Device, reader: Reader) -> None:
    change_everything(device)
    q = "site:dock AND firmware:<2 AND alarms:>0 AND NOT lifecycle:in_repair"

    answer = reader.get(SEARCH, q=q, as_of=THEN.isoformat(), facets="firmware,cause")

    assert answer == {
        "total": 1,
        "index_lag_seconds": 0.0,
        "results": [
            {
                "uid": "pump",
                "tenant": device.tenant.slug,
                "site": "dock",
                "lifecycle": "active",
                "connectivity": "online",
                "cause": None,
                "firmware": "1.4.2",
                "config_version": "7",
                "alarms": 1,
            }
        ],
        "facets": {"firmware": [{"value": "1.4.2", "count": 1}], "cause": []},
        "next": None,
    }
    assert reader.uids_at(NOW - HOUR, q) == []
    gone = "site:hall AND firmware:2.0 AND alarms:0 AND cause:goodbye"
    assert reader.uids_at(NOW - HOUR, gone) == ["pump"]
    assert reader.uids_at(FIRST - HOUR) == []  # it was not registered yet


def test_a_change_holds_from_its_own_instant_on(device: Device, reader: Reader) -> None:
    change_everything(device)

    for q in ("site:hall", "cause:goodbye", "firmware:2.0", "alarms:0"):
        assert reader.uids_at(LATER, q) == ["pump"], q
        assert reader.uids_at(LATER - timedelta(microseconds=1), q) == [], q
    assert reader.uids_at(NEXT, "lifecycle:in_repair") == ["pump"]
    assert reader.uids_at(LATER, "lifecycle:in_repair") == []


@pytest.mark.parametrize(
    ("asked", "field", "named"),
    [
        ({"q": "battery:<20"}, "q", "battery"),
        ({"q": "uid:x OR NOT region:north"}, "q", "region"),
        ({"q": "attr.rev:B"}, "q", "attr.rev"),
        ({"q": "pump"}, "q", "name"),
        ({"q": "*", "sort": "-risk"}, "sort", "risk"),
        ({"q": "*", "facets": "site,product"}, "facets", "product"),
    ],
)
def test_a_field_without_history_is_refused_by_name(
    reader: Reader, asked: dict[str, str], field: str, named: str
) -> None:
    answer = reader.get(SEARCH, status=400, as_of=THEN.isoformat(), **asked)

    [error] = answer["errors"]
    assert error["field"] == field
    assert named in error["message"]


@pytest.mark.parametrize(
    "text",
    [
        # Times by name: each process collects the tests at its own moment.
        pytest.param((NOW + HOUR).isoformat(), id="future"),
        pytest.param((NOW - timedelta(days=30, minutes=1)).isoformat(), id="too old"),
        "2026-11-20T10:00:00",
        "yesterday",
        "",
    ],
)
def test_a_time_of_which_nothing_is_known_is_refused(reader: Reader, text: str) -> None:
    [error] = reader.get(SEARCH, status=400, q="*", as_of=text)["errors"]
    assert error["field"] == "as_of"


def test_a_time_from_before_the_history_began_is_refused(reader: Reader) -> None:
    PastStart.objects.create(at=LATER)

    [error] = reader.get(SEARCH, status=400, q="*", as_of=THEN.isoformat())["errors"]

    assert error["field"] == "as_of"
    assert f"{LATER:%Y-%m-%dT%H:%M}" in error["message"]
    assert reader.uids_at(LATER) == ["pump"]


def test_an_upgrade_begins_the_history_if_there_are_devices(
    device: Device, reader: Reader
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(START)
    reader.get(SEARCH, status=400, q="*", as_of=NOW.isoformat())

    PastStart.objects.all().delete()
    Device.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute(START)

    assert reader.uids_at(NOW - 29 * 24 * HOUR) == []


def bulk_update(device: Device, site: Site) -> None:
    Device.objects.filter(pk=device.pk).update(site=site, lifecycle="retired")
    Twin.objects.filter(pk=device.pk).update(firmware="9.9")


def raw_sql(device: Device, site: Site) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE registry_device SET site_id = %s", [site.pk])
        cursor.execute("UPDATE registry_device SET lifecycle = 'retired'")
        cursor.execute("UPDATE state_twin SET firmware = '9.9'")


def replaced_row(device: Device, site: Site) -> None:
    row = Device.objects.get(pk=device.pk)
    row.site, row.lifecycle = site, "retired"
    row.save()
    Twin.objects.filter(pk=device.pk).delete()
    Twin.objects.create(device=row, tenant=row.tenant, firmware="9.9")


@pytest.mark.parametrize("write", [bulk_update, raw_sql, replaced_row])
def test_no_way_of_writing_forgets_what_was(
    device: Device, reader: Reader, write: Callable[[Device, Site], None]
) -> None:
    site = SiteFactory.create(tenant=device.tenant, slug="hall")
    before = datetime.now(UTC)

    write(device, site)

    q = "site:{} AND lifecycle:{} AND firmware:{}"
    assert reader.uids_at(before, q.format("dock", "active", "1.4.2")) == ["pump"]
    after = datetime.now(UTC)
    assert reader.uids_at(after, q.format("hall", "retired", "9.9")) == ["pump"]


def test_a_site_that_was_deleted_since_is_still_shown(
    device: Device, reader: Reader
) -> None:
    old = device.site
    move(device, "hall", LATER)
    Site.objects.get(pk=old.pk).delete()

    assert reader.uids_at(THEN, "site:dock") == ["pump"]
    assert reader.uids_at(THEN, "site:do*") == ["pump"]


def test_tenants_do_not_see_a_transferred_device_of_the_others_time(
    device: Device, reader: Reader
) -> None:
    first = device.tenant
    with time_machine.travel(THEN, tick=False):
        transfer(device, destination())
    buyer = Reader(device)

    assert reader.uids_at(FIRST) == reader.uids_at(LATER) == []  # not theirs today
    assert buyer.uids_at(FIRST) == []  # not theirs then
    assert buyer.uids_at(LATER, "firmware:* OR alarms:>0 OR connectivity:online") == []
    assert buyer.uids_at(LATER, "cause:never_connected") == ["pump"]
    back = destination(tenant=first)
    with time_machine.travel(LATER, tick=False):
        transfer(device, back)
    assert reader.uids_at(FIRST, "firmware:1.4.2 AND alarms:1") == ["pump"]
    assert reader.uids_at(THEN + HOUR) == []
    assert buyer.uids_at(THEN + HOUR) == []


def test_a_limited_member_sees_devices_that_were_and_are_within_the_limit(
    device: Device,
) -> None:
    dock = Reader(device, limited_to=device.site)
    hall = Reader(device, limited_to=move(device, "hall", LATER))

    assert dock.uids_at(THEN) == []  # beyond the limit today
    assert hall.uids_at(THEN) == []  # beyond the limit then
    assert hall.uids_at(LATER) == ["pump"]


def test_pages_of_the_past_follow_their_cursor(device: Device, reader: Reader) -> None:
    with time_machine.travel(FIRST, tick=False):
        DeviceFactory.create(uid="Fan", tenant=device.tenant, site=device.site)
    asked: dict[str, Any] = {
        "q": "*",
        "as_of": THEN.isoformat(),
        "limit": 1,
        "sort": "firmware",
    }

    first = reader.get(SEARCH, **asked)
    second = reader.client.get(first["next"]).json()

    assert [row["uid"] for row in first["results"] + second["results"]] == [
        "pump",
        "Fan",  # without a value, so the last
    ]
    assert second["next"] is None
    cursor = first["next"].partition("cursor=")[2].partition("&")[0]
    for other in ({"sort": "uid"}, {"as_of": LATER.isoformat()}, {"cursor": "x"}):
        reader.get(SEARCH, status=400, **(asked | {"cursor": cursor} | other))


def test_a_search_of_the_past_takes_few_queries(device: Device, reader: Reader) -> None:
    q = "site:dock AND firmware:1.* AND config_version:7"
    with CaptureQueriesContext(connection) as captured:
        reader.get(SEARCH, q=q, as_of=THEN.isoformat(), facets="site,firmware")

    large = [row for row in captured.captured_queries if "json_agg" in row["sql"]]
    values = [row for row in captured.captured_queries if " UNION " in row["sql"]]
    assert len(large) == 1
    assert len(values) <= 4  # one per field that the query names, and the large one


def test_the_past_is_kept_for_31_days_and_then_dropped(device: Device) -> None:
    now = datetime.now(UTC)
    keep_partitions(now=now)
    change_everything(device)
    assert PastDevice.objects.exists()
    assert PastTwin.objects.exists()

    keep_partitions(now=LATER + timedelta(days=30))
    assert PastDevice.objects.exists()
    keep_partitions(now=LATER + timedelta(days=33))

    assert not PastDevice.objects.filter(until__lte=LATER).exists()
    assert not PastTwin.objects.filter(until__lte=LATER).exists()


@given(
    st.lists(st.sampled_from(["a", "ab", ".", *Wild]), max_size=8).map(tuple),
    st.text("ab.", max_size=8),
)
def test_a_pattern_fits_the_same_texts_as_in_the_reference(
    pattern: tuple[str | Wild, ...], text: str
) -> None:
    assert fits(pattern, text) == _fits(pattern, text)


def test_a_hostile_pattern_is_judged_at_once() -> None:
    pattern = (Wild.MANY, "a") * 16 + ("b",)

    assert not fits(pattern, "a" * 64)
