"""What every page of the console says: times with their zone, right numbers."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from console.middleware import COOKIE, read_zone
from console.presenters.labels import clock, full_time, since, zone_label
from console.urls import urlpatterns
from iotplatform.common.counts import counted
from registry.choices import Role
from tests.console.conftest import Fleet
from tests.console.test_access import address, objects_of
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db

SHANGHAI = "Asia/Shanghai"
TIME = re.compile(r"<time[^>]*>")
# "1 of 5 devices" is right, and so are "1 is" and "1 ms".
ONE_OF_MANY = re.compile(
    r"(?<![\d.,:·/-])\b1 (?!is\b|was\b|has\b|matches\b|ms\b)\w+s\b"
)


def pages_of(fleet: Fleet, client: Client) -> dict[str, str]:
    """Return the text of every page, by path."""
    objects = objects_of(fleet)
    found = {}
    for pattern in urlpatterns:
        path = address(pattern, **objects)
        answer = client.get(path)
        if answer.status_code == 200 and not answer.streaming:  # no file
            found[path] = unescape(answer.content.decode())
    return found


def test_pages_show_times_in_the_readers_zone_and_numbers_with_right_nouns(
    acme: Fleet,
) -> None:
    client = acme.client(Role.ADMIN)
    client.cookies[COOKIE] = SHANGHAI

    pages = pages_of(acme, client)

    assert len(pages) > 20
    for path, text in pages.items():
        if "<html" in text:
            assert "Times: Asia/Shanghai (UTC+08:00)" in text, path
        for element in TIME.findall(text):
            assert re.search(f"{SHANGHAI}.* UTC", element), (path, element)
        visible = re.sub(r"<(style|script).*?</\1>|<[^>]*>", " ", text, flags=re.S)
        assert not ONE_OF_MANY.findall(visible), (path, ONE_OF_MANY.findall(visible))


def test_an_empty_page_does_not_say_its_title_twice(acme: Fleet) -> None:
    pages = {}
    client = Fleet(MembershipFactory.create().tenant, acme.indexer).client(Role.ADMIN)
    for path in ("cohorts", "jobs", "commands", "alarms", "alarms/rules", "keys"):
        pages[path] = client.get(f"/{path}/").content.decode()
    for path in ("maintenance", "dead-letters", "audit"):
        pages[path] = client.get(f"/{path}/").content.decode()

    for path, text in pages.items():
        title = re.search(r"<h1>(.*?)</h1>", text)
        empty = re.search(r'class="card nothing"><b>(.*?)</b>', text)
        assert title, path
        if empty:
            assert _meaning(title[1]) != _meaning(empty[1]), path


def _meaning(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower())) - {"yet", "is", "are", "open"}


@pytest.mark.parametrize(
    ("at", "short", "full"),
    [
        (
            datetime(2027, 3, 14, 2, 30, 5, tzinfo=UTC),
            "10:30:05",
            "Sun 14 March 2027, 10:30:05 Asia/Shanghai, 02:30:05 UTC",
        ),
        (
            datetime(2027, 3, 12, 20, 0, tzinfo=UTC),
            "Sat 04:00",
            "Sat 13 March 2027, 04:00:00 Asia/Shanghai, 12 Mar 20:00:00 UTC",
        ),
        (datetime(2027, 1, 2, tzinfo=UTC), "2 Jan 08:00", None),
        (datetime(2026, 12, 31, tzinfo=UTC), "31 Dec 2026 08:00", None),
        ("2027-03-14T02:30:05", "10:30:05", None),
    ],
)
def test_a_time_is_short_and_whole_on_hover(
    time_machine: Any, at: Any, short: str, full: str | None
) -> None:
    time_machine.move_to(datetime(2027, 3, 14, 4, 0, tzinfo=UTC), tick=False)
    with timezone.override(read_zone(SHANGHAI)):
        assert clock(at) == short
        assert full is None or full_time(at) == full
        assert zone_label() == "Asia/Shanghai (UTC+08:00)"
        assert since(datetime(2027, 3, 14, 3, 56, tzinfo=UTC)) == "for 4 min"
        assert since(datetime(2027, 3, 14, 4, 0, tzinfo=UTC)) == "just now"


@pytest.mark.parametrize(
    "name", ["", "Europe", "../etc/passwd", "/etc/passwd", "Mars/Base", "x" * 300, "ä"]
)
def test_an_unknown_zone_is_utc(acme: Fleet, name: str) -> None:
    client = acme.client()
    client.cookies[COOKIE] = name

    assert read_zone(name) is None
    assert "Times: UTC" in client.get("/jobs/").content.decode()


def test_numbers_have_the_right_noun() -> None:
    assert counted(1, "device") == "1 device"
    assert counted(0, "hour") == "0 hours"
    assert counted(1.0, "hour") == "1 hour"
    assert counted(1.5, "hour") == "1.5 hours"
    assert counted(1284, "device") == "1,284 devices"
