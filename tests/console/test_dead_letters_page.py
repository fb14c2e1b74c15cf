"""The rejected messages page: reasons and counts, one payload, replays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from console.presenters.payloads import format_payload, payload_formats
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


def test_messages_are_listed_counted_by_reason_and_filtered() -> None:
    device = DeviceFactory()
    for n in range(3):
        make_letter(device, b"{%d" % n)
    empty = make_letter(device, b"", reason="empty")
    client = client_of(device.tenant)

    every = text_of(client, PAGE)
    one = text_of(client, f"{PAGE}?reason=empty&device={device.uid}")
    none = text_of(client, f"{PAGE}?device=nobody")

    assert "4 rejected messages" in every
    assert "bad json <b>3</b>" in every
    assert "1 message matches" in one
    assert str(empty.public_id) in one
    assert one.count('name="letter"') == 1
    assert "No rejected messages match" in none


def test_messages_are_filtered_by_day_and_an_invalid_date_is_reported() -> None:
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
    assert "must be a date such as" in wrong


def test_messages_of_other_tenants_and_of_no_tenant_are_not_found() -> None:
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
    assert "No rejected messages" in page
    whole = text_of(platform_client(), PAGE)
    assert {str(row.public_id) in whole for row in (theirs, nobodys)} == {True}


def test_selected_messages_are_replayed_and_each_shows_its_result() -> None:
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
    assert "Replayed: 1 accepted, 1 rejected again." in text
    assert '<i class="shape"></i>accepted' in text
    assert Alarm.objects.get(device=device).count == 1
    bad.refresh_from_db()
    left.refresh_from_db()
    assert bad.outcome_detail.startswith("bad_json: ")
    assert left.outcome == ""


def test_one_message_is_replayed_from_its_own_page() -> None:
    letter = make_letter(DeviceFactory(), reason="lifecycle")
    client = client_of(letter.tenant)

    answer = client.post(
        f"{PAGE}replay/", {"letter": letter.public_id, "back": "letter"}, follow=True
    )

    assert answer.redirect_chain == [(f"{PAGE}{letter.public_id}/", 302)]
    assert "Replayed: 1 accepted." in answer.content.decode()


def test_a_viewer_may_read_but_not_replay() -> None:
    letter = make_letter(DeviceFactory(), reason="lifecycle")
    client = client_of(letter.tenant, Role.VIEWER)

    page = text_of(client, PAGE)
    one = text_of(client, f"{PAGE}{letter.public_id}/")
    answer = client.post(f"{PAGE}replay/", {"letter": letter.public_id})

    assert str(letter.public_id) in page
    assert "Replay</button>" not in page + one
    assert answer.status_code == 403


def test_a_replay_without_a_selection_is_refused() -> None:
    client = client_of(DeviceFactory().tenant)

    answer = client.post(f"{PAGE}replay/", {}, follow=True)

    assert "messages to replay" in answer.content.decode()


def test_a_payload_cannot_run_a_script_on_the_page() -> None:
    script = make_letter(DeviceFactory(), b'{"a": "<script>alert(1)</script>"}')
    client = client_of(script.tenant)

    text = text_of(client, f"{PAGE}{script.public_id}/")

    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


def test_a_truncated_payload_is_marked_and_cannot_be_replayed() -> None:
    large = make_letter(DeviceFactory(), b"x" * 70_000, reason="too_large")

    text = text_of(client_of(large.tenant), f"{PAGE}{large.public_id}/")

    assert "70,000 bytes, of which the first 65,536 are kept" in text
    assert "disabled" in text
    assert "cannot be replayed: only its beginning is kept" in text


@pytest.mark.parametrize(
    ("payload", "formats", "expected"),
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
def test_a_payload_is_shown_in_the_most_readable_format(
    payload: bytes, formats: list[str], expected: str
) -> None:
    assert payload_formats(payload) == formats
    assert expected in format_payload(payload, formats[0])
    assert "\x00" not in format_payload(payload, "text")


def test_a_long_list_needs_few_queries(
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
