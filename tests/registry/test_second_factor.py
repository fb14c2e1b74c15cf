"""The second factor: set-up, sign-in, recovery codes, and where it is required."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core.cache import cache
from django.test import Client

from registry.models import User
from tests.factories import MembershipFactory, UserFactory

NAME = {"login": "operator@acme", "password": "demo"}
ACTIVATE, ASK = "/accounts/2fa/totp/activate/", "/accounts/2fa/authenticate/"


@pytest.fixture(autouse=True)
def fresh_counters() -> None:
    """Failed codes are counted in the cache."""
    cache.clear()


@pytest.fixture(autouse=True)
def one_moment(time_machine: Any) -> None:
    """A code is good for its own half minute; a test may begin at the end of one."""
    time_machine.move_to(datetime.now(UTC), tick=False)


@pytest.fixture
def person(db: None) -> User:
    user: User = UserFactory(username="operator@acme", password="demo")
    return user


def code_of(secret: str) -> str:
    """Return the code that an authenticator app shows now."""
    return str(format_hotp_value(hotp_value(secret, int(time.time()) // 30)))


def set_up(client: Client) -> tuple[str, str]:
    """Sign in and set up a second factor; return its secret and a recovery code."""
    client.post("/accounts/login/", NAME)
    # An open browser is not enough: the password is required again.
    assert "/accounts/reauthenticate/" in client.get(ACTIVATE)["Location"]
    client.post("/accounts/reauthenticate/", {"password": "demo"})
    page = client.get(ACTIVATE).content.decode()
    found = re.search(r'value="([A-Z2-7]{32})"', page)
    assert found, page
    assert 'src="data:image/svg+xml;base64,' in page
    answer = client.post(ACTIVATE, {"code": code_of(found[1])}, follow=True)
    codes = re.findall(r"\b\d{8}\b", answer.content.decode())
    assert len(codes) == 10
    client.logout()
    cache.clear()  # a code works once, and the next one may be the same within 30 s
    return found[1], codes[0]


def is_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def test_a_password_alone_no_longer_signs_in(person: User, client: Client) -> None:
    secret, _ = set_up(client)

    answer = client.post("/accounts/login/", NAME)
    assert answer["Location"].startswith(ASK)
    assert not is_in(client)
    assert client.post(ASK, {"code": "000000"}).status_code == 200
    assert not is_in(client)
    client.post(ASK, {"code": code_of(secret)})
    assert is_in(client)


def test_a_recovery_code_signs_in_once(person: User, client: Client) -> None:
    _, code = set_up(client)

    for expected in (True, False):
        client.post("/accounts/login/", NAME)
        client.post(ASK, {"code": code})
        assert is_in(client) is expected
        client.logout()


def test_codes_cannot_be_guessed_one_after_another(
    person: User, client: Client
) -> None:
    secret, _ = set_up(client)
    client.post("/accounts/login/", NAME)

    for _ in range(10):
        client.post(ASK, {"code": "000000"})
    client.post(ASK, {"code": code_of(secret)})

    assert not is_in(client)


def test_the_database_does_not_reveal_the_secret(person: User, client: Client) -> None:
    secret, code = set_up(client)

    kept = str(list(Authenticator.objects.values_list("data", flat=True)))
    assert secret not in kept
    assert code not in kept


def test_name_and_password_alone_make_no_key(person: User, client: Client) -> None:
    set_up(client)
    given = {"username": "operator@acme", "password": "demo"}

    answer = client.post("/api/v1/auth/token/", given, "application/json")

    assert answer.status_code == 403
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("kind", ["superusers", "admins"])
def test_a_person_who_needs_a_second_factor_must_set_it_up_first(
    person: User, client: Client, settings: Any, kind: str
) -> None:
    settings.SECOND_FACTOR_REQUIRED_OF = [kind]
    if kind == "superusers":
        User.objects.update(is_superuser=True)
    else:
        MembershipFactory(user=person, role="admin")
    client.post("/accounts/login/", NAME)

    assert client.get("/cohorts/")["Location"] == ACTIVATE
    assert client.get("/api/v1/devices/").status_code == 403
    client.post("/accounts/reauthenticate/", {"password": "demo"})
    assert client.get(ACTIVATE).status_code == 200


def test_a_person_who_needs_no_second_factor_continues(
    person: User, client: Client, settings: Any
) -> None:
    settings.SECOND_FACTOR_REQUIRED_OF = ["superusers", "admins"]
    client.post("/accounts/login/", NAME)

    assert client.get("/cohorts/").status_code == 200


def test_a_changed_password_ends_the_other_sessions(
    person: User, client: Client
) -> None:
    other = Client()
    for browser in (client, other):
        browser.post("/accounts/login/", NAME)
    new = {"oldpassword": "demo", "password1": "Tr0ub4dor&3x", "password2": ""}
    new["password2"] = new["password1"]

    client.post("/accounts/password/change/", new)

    assert client.get("/cohorts/").status_code == 200
    assert other.get("/cohorts/").status_code == 302


def test_a_person_sees_their_sessions_and_ends_the_others(
    person: User, client: Client
) -> None:
    other = Client()
    for browser in (other, client):
        browser.post("/accounts/login/", NAME)

    page = client.get("/accounts/sessions/").content.decode()
    assert page.count("This browser") == page.count("Another browser") == 1
    client.post("/accounts/sessions/")

    assert client.get("/cohorts/").status_code == 200
    assert other.get("/cohorts/").status_code == 302


def test_an_idle_session_ends(
    person: User, client: Client, time_machine: Any, settings: Any
) -> None:
    time_machine.move_to("2026-01-01T08:00:00Z")
    client.post("/accounts/login/", NAME)
    assert client.get("/cohorts/").status_code == 200

    time_machine.shift(settings.SESSION_IDLE_SECONDS + 1)

    assert client.get("/cohorts/").status_code == 302


def test_signing_in_changes_the_session_key(person: User, client: Client) -> None:
    client.get("/accounts/login/")
    session = client.session
    session["x"] = 1
    session.save()
    before = session.session_key

    client.post("/accounts/login/", NAME)

    assert client.session.session_key != before
