"""The sign-in page: names with an @, the lock-out, signing out, no sign-up."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from registry.models import User
from tests.factories import UserFactory

LOGIN = "/accounts/login/"


@pytest.fixture
def person(db: None) -> User:
    user: User = UserFactory(username="operator@acme", password="demo")
    return user


def sign_in(client: Client, password: str = "demo") -> int:
    given = {"login": "operator@acme", "password": password}
    return client.post(LOGIN, given).status_code


def is_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def test_a_person_signs_in_with_a_name_that_looks_like_an_address(
    person: User, client: Client
) -> None:
    before = client.get(LOGIN)
    answer = client.post(
        f"{LOGIN}?next=/fleet/", {"login": "operator@acme", "password": "demo"}
    )

    assert before.status_code == 200
    assert answer.status_code == 302
    assert answer["Location"] == "/fleet/"
    assert is_in(client)
    assert client.cookies["sessionid"]["httponly"]
    assert client.cookies["sessionid"]["samesite"] == "Lax"
    assert int(client.cookies["sessionid"]["max-age"]) == 12 * 3600


def test_a_wrong_password_does_not_sign_in(person: User, client: Client) -> None:
    assert sign_in(client, "wrong") == 200
    assert not is_in(client)


def test_a_next_on_another_host_is_not_followed(person: User, client: Client) -> None:
    answer = client.post(
        f"{LOGIN}?next=https://evil.example/",
        {"login": "operator@acme", "password": "demo"},
    )

    assert answer["Location"] == "/"


def test_failed_tries_lock_the_page_and_the_api_alike(
    person: User, client: Client
) -> None:
    for _ in range(10):
        sign_in(client, "wrong")

    assert sign_in(client) == 429
    assert not is_in(client)
    token = client.post(
        "/api/v1/auth/token/",
        {"username": "operator@acme", "password": "demo"},
        content_type="application/json",
    )
    assert token.status_code == 429


def test_signing_out_needs_a_post(person: User, client: Client) -> None:
    sign_in(client)

    shown = client.get("/accounts/logout/")
    still_in = is_in(client)
    gone = client.post("/accounts/logout/")

    assert (shown.status_code, still_in, gone.status_code) == (200, True, 302)
    assert not is_in(client)


def test_a_session_gets_a_new_key_at_sign_in(person: User, client: Client) -> None:
    client.get(LOGIN)
    session = client.session
    session["marker"] = 1
    session.save()
    before = session.session_key
    client.cookies["sessionid"] = before or ""

    sign_in(client)

    assert client.session.session_key != before


def test_sign_up_is_closed(db: None, client: Client) -> None:
    given = {"username": "new", "password1": "long-enough-1", "password2": "x"}

    answer = client.post(reverse("account_signup"), given)

    assert answer.status_code == 200
    assert not User.objects.exists()


def test_the_admin_uses_the_same_sign_in(person: User, client: Client) -> None:
    answer = client.get("/admin/")

    assert answer.status_code == 302
    followed = client.get(answer["Location"])
    assert followed["Location"].startswith(LOGIN)
    sign_in(client)
    assert client.get("/admin/login/").status_code == 403
    assert client.get("/admin/registry/device/").status_code in (302, 403)
