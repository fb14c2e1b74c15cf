"""The dead letters page: reasons and their counts, one payload, and replaying."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from console.presenters.payloads import shown, ways_of
from registry.choices import Role
from registry.models import Tenant
from state.models import Alarm
from tests.factories import DeviceFactory, MembershipFactory, UserFactory
from tests.fleet.rows import make_letter

pytestmark = pytest.mark.django_db
PAGE = "/dead-letters/"


@pytest.fixture(autouse=True)
def _plain_static_files(settings: Any) -> None:
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {
            "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        }
    }


def client_of(tenant: Tenant | None, role: Role = Role.OPERATOR) -> Client:
    assert tenant is not None
    client = Client()
    client.force_login(MembershipFactory(tenant=tenant, role=role).user)
    return client


def platform_client() -> Client:
    client = Client()
    client.force_login(UserFactory(is_superuser=True))
    return client


def text_of(client: Client, path: str, status: int = 200) -> str:
    answer = client.get(path)
    assert answer.status_code == status
    return answer.content.decode()


def test_letters_stand_with_their_reasons_counted_and_narrowed() -> None:
    device = DeviceFactory()
    for n in range(3):
        make_letter(device, b"{%d" % n)
    empty = make_letter(device, b"", reason="empty")
    client = client_of(device.tenant)

    every = text_of(client, PAGE)
    one = text_of(client, f"{PAGE}?reason=empty&device={device.uid}")
    none = text_of(client, f"{PAGE}?device=nobody")

    assert "4 messages could not be taken in" in every
    assert "bad json <b>3</b>" in every
    assert "1 is like that" in one
    assert str(empty.public_id) in one
    assert one.count('name="letter"') == 1
    assert "No dead letter is like that" in none


def test_letters_are_narrowed_by_day_and_what_is_no_day_is_said() -> None:
    device = DeviceFactory()
    old, new = make_letter(device, hours_ago=24 * 3), make_letter(device)
    client = client_of(device.tenant)
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()

    since = text_of(client, f"{PAGE}?from={yesterday}")
    until = text_of(client, f"{PAGE}?to={yesterday - timedelta(days=1)}")
    wrong = text_of(client, f"{PAGE}?to=soon", status=422)

    assert str(new.public_id) in since
    assert str(old.public_id) not in since
    assert str(old.public_id) in until
    assert str(new.public_id) not in until
    assert "is a day, as in" in wrong


def test_nobody_sees_or_replays_another_tenants_letters_or_those_of_nobody() -> None:
    device = DeviceFactory()
    theirs, nobodys = make_letter(DeviceFactory()), make_letter(None, uid="stranger")
    client = client_of(device.tenant, Role.ADMIN)

    page = text_of(client, PAGE)
    for letter in (theirs, nobodys):
        assert str(letter.public_id) not in page
        text_of(client, f"{PAGE}{letter.public_id}/", status=404)
        client.post(f"{PAGE}replay/", {"letter": letter.public_id})
        letter.refresh_from_db()
        assert letter.outcome == ""
    assert "Nothing was turned away" in page
    whole = text_of(platform_client(), PAGE)
    assert {str(row.public_id) in whole for row in (theirs, nobodys)} == {True}


def test_selected_letters_are_replayed_and_each_shows_what_came_of_it() -> None:
    device = DeviceFactory()
    good, bad = make_letter(device, reason="lifecycle"), make_letter(device, b"{")
    left = make_letter(device, reason="lifecycle")
    client = client_of(device.tenant)

    answer = client.post(
        f"{PAGE}replay/",
        {
            "letter": [good.public_id, bad.public_id],
            "back": "reason=lifecycle&next=//evil.example",
        },
        follow=True,
    )

    text = answer.content.decode()
    assert answer.redirect_chain == [(f"{PAGE}?reason=lifecycle", 302)]
    assert "Replayed: 1 taken, 1 refused." in text
    assert '<i class="shape"></i>taken' in text
    assert Alarm.objects.get(device=device).count == 1
    bad.refresh_from_db()
    left.refresh_from_db()
    assert bad.outcome_detail.startswith("bad_json: ")
    assert left.outcome == ""


def test_one_letter_is_replayed_from_its_own_page() -> None:
    letter = make_letter(DeviceFactory(), reason="lifecycle")
    client = client_of(letter.tenant)

    answer = client.post(
        f"{PAGE}replay/", {"letter": letter.public_id, "back": "letter"}, follow=True
    )

    assert answer.redirect_chain == [(f"{PAGE}{letter.public_id}/", 302)]
    assert "Replayed: 1 taken." in answer.content.decode()


def test_a_viewer_reads_and_does_not_replay() -> None:
    letter = make_letter(DeviceFactory(), reason="lifecycle")
    client = client_of(letter.tenant, Role.VIEWER)

    page = text_of(client, PAGE)
    one = text_of(client, f"{PAGE}{letter.public_id}/")
    answer = client.post(f"{PAGE}replay/", {"letter": letter.public_id})

    assert str(letter.public_id) in page
    assert "Replay</button>" not in page + one
    assert answer.status_code == 403


def test_nothing_chosen_is_said() -> None:
    client = client_of(DeviceFactory().tenant)

    answer = client.post(f"{PAGE}replay/", {}, follow=True)

    assert "Choose letters to replay" in answer.content.decode()


def test_a_payload_cannot_act_on_the_page() -> None:
    script = make_letter(DeviceFactory(), b'{"a": "<script>alert(1)</script>"}')
    client = client_of(script.tenant)

    text = text_of(client, f"{PAGE}{script.public_id}/")

    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


def test_a_cut_payload_says_so_and_offers_no_replay() -> None:
    large = make_letter(DeviceFactory(), b"x" * 70_000, reason="too_large")

    text = text_of(client_of(large.tenant), f"{PAGE}{large.public_id}/")

    assert "70,000 bytes, of which the first 65,536 are kept" in text
    assert "disabled" in text


@pytest.mark.parametrize(
    ("payload", "ways", "says"),
    [
        (b'{"a":1e999}', ["json", "text", "hex"], '"a": 1e999'),
        (b'{"a":"\\ud800"}', ["text", "hex"], "\\ud800"),
        (b"plain words", ["text", "hex"], "plain words"),
        (b"", ["hex"], ""),
        (b"\x00\x01A", ["hex", "text"], "00000  00 01 41"),
        (b"bad \xff end", ["text", "hex"], "bad \\xff end"),
        ("a\u202eb".encode(), ["text", "hex"], "a\\u202eb"),
        (b"[" * 10_000, ["text", "hex"], "[[["),
    ],
)
def test_a_payload_is_shown_in_the_way_that_tells_most(
    payload: bytes, ways: list[str], says: str
) -> None:
    assert ways_of(payload) == ways
    assert says in shown(payload, ways[0])
    assert "\x00" not in shown(payload, "text")


def test_a_long_list_is_read_with_few_queries(
    django_assert_max_num_queries: Any,
) -> None:
    device = DeviceFactory()
    for _ in range(60):
        make_letter(device)
    client = client_of(device.tenant)
    client.get(PAGE)

    with django_assert_max_num_queries(22):
        page = text_of(client, PAGE)

    assert page.count('name="letter"') == 50
    assert 'rel="next"' in page
