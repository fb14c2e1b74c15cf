"""Sign-in by an identity provider, with a real one: who may sign in, and who not."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from allauth.socialaccount.models import SocialAccount, SocialToken
from django.test import Client

from iotplatform.local.ports import free_port
from registry.models import AuditEntry, Membership, User
from tests.factories import MembershipFactory, UserFactory
from tests.identity_process import MAIL, OLIVE, Control
from tests.identity_provider import CLIENT_SECRET
from tests.waiting import PATIENCE

pytestmark = pytest.mark.django_db
BEGIN, FINISH = "/accounts/oidc/login/", "/accounts/oidc/callback/"
CONNECTIONS = "/accounts/connections/"


@pytest.fixture
def olive(db: None) -> User:
    user: User = UserFactory(username="olive@acme", email=MAIL, password="demo")
    return user


def leave(client: Client, **query: str) -> str:
    """Press the button; return where the page redirects to."""
    answer = client.post(BEGIN, query_params=query)
    assert answer.status_code == 200, answer
    return str(answer.context["url"])


def come_back(url: str) -> str:
    """Follow the provider; return the path that it sends the browser to."""
    answer = requests.get(url, allow_redirects=False, timeout=PATIENCE)
    parts = urlsplit(answer.headers["Location"])
    assert parts.netloc == "testserver"
    return f"{parts.path}?{parts.query}"


def sign_in(client: Client, **query: str) -> Any:
    return client.get(come_back(leave(client, **query)))


def is_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def who_is_in(client: Client) -> str:
    return str(User.objects.get(pk=client.session["_auth_user_id"]).username)


def test_single_sign_on_is_off_without_its_settings(
    olive: User, client: Client
) -> None:
    assert "Sign in with" not in client.get("/accounts/login/").content.decode()
    assert client.post(BEGIN).status_code == client.get(FINISH).status_code == 404
    client.force_login(olive)
    assert client.get(CONNECTIONS).status_code == 404
    assert CONNECTIONS not in client.get("/keys/").content.decode()


def test_a_person_with_a_known_verified_address_signs_in_and_keeps_their_password(
    provider: Control, olive: User, client: Client
) -> None:
    page = client.get("/accounts/login/?next=/fleet/").content.decode()
    assert "Sign in with Acme Login" in page
    assert f'action="{BEGIN}?next=%2Ffleet%2F"' in page

    answer = sign_in(client, next="/fleet/")

    assert answer["Location"] == "/fleet/"
    assert who_is_in(client) == "olive@acme"
    olive.refresh_from_db()
    assert olive.check_password("demo")
    assert not SocialToken.objects.exists()
    assert "This browser" in client.get("/accounts/sessions/").content.decode()
    entry = AuditEntry.objects.get(kind="social_account")
    assert (entry.action, entry.actor) == ("created", "olive@acme")


def test_the_request_to_the_provider_has_state_nonce_and_challenge(
    provider: Control, client: Client
) -> None:
    url = leave(client, scope="admin", auth_params="prompt=none", process="redirect")
    asked = parse_qs(urlsplit(url).query)

    assert set(asked) == {
        *("client_id", "redirect_uri", "scope", "response_type", "state", "nonce"),
        *("code_challenge", "code_challenge_method"),
    }
    assert set(asked["scope"][0].split()) == {"openid", "profile", "email"}
    assert asked["code_challenge_method"] == ["S256"]


def test_a_connected_account_signs_in_whatever_its_address(
    provider: Control, olive: User, client: Client
) -> None:
    sign_in(client)
    client.logout()
    provider(OLIVE | {"email": "olive@married.example", "email_verified": False})

    sign_in(client)

    assert who_is_in(client) == "olive@acme"


def test_an_address_that_passed_to_another_account_does_not_sign_in(
    provider: Control, olive: User, client: Client
) -> None:
    sign_in(client)
    client.logout()
    provider(OLIVE | {"sub": "2002"})

    answer = sign_in(client)

    assert answer.status_code == 403
    assert "is connected to another account there" in answer.content.decode()
    assert not is_in(client)


@pytest.mark.parametrize(
    ("person", "message"),
    [
        (OLIVE | {"email": "x@acme.example"}, "No account here has the address"),
        (OLIVE | {"email_verified": False}, "is verified"),
        (OLIVE | {"email_verified": "true"}, "is verified"),
        ({"sub": "1001", "email": MAIL}, "is verified"),
        ({"sub": "1001"}, "is verified"),
        ({"sub": "1001", "email": "", "email_verified": True}, "is verified"),
    ],
)
def test_a_person_without_a_known_verified_address_does_not_sign_in(
    provider: Control,
    olive: User,
    client: Client,
    person: dict[str, Any],
    message: str,
) -> None:
    provider(person)

    answer = sign_in(client)

    assert answer.status_code == 403
    assert message in answer.content.decode()
    assert not is_in(client)
    assert User.objects.count() == 1
    assert not SocialAccount.objects.exists()


@pytest.mark.parametrize("kind", ["two", "inactive", "superuser"])
def test_an_ambiguous_inactive_or_superusers_address_does_not_sign_in(
    provider: Control, olive: User, client: Client, kind: str
) -> None:
    if kind == "two":
        UserFactory(email=MAIL.upper())
    elif kind == "inactive":
        User.objects.update(is_active=False)
    else:
        User.objects.update(is_superuser=True)

    assert sign_in(client).status_code == 403
    assert not is_in(client)


def test_an_inactive_person_does_not_sign_in_by_a_connected_account(
    provider: Control, olive: User, client: Client
) -> None:
    sign_in(client)
    client.logout()
    User.objects.update(is_active=False)

    assert sign_in(client)["Location"] == "/accounts/inactive/"
    assert not is_in(client)


def test_with_open_sign_up_an_unknown_person_gets_an_account_without_tenant(
    provider: Control, client: Client, settings: Any
) -> None:
    settings.OIDC_SIGN_UP = True

    sign_in(client)

    assert who_is_in(client) == MAIL
    user = User.objects.get()
    assert (user.email, user.first_name, user.last_name) == (MAIL, "Olive", "Oyl")
    assert not any((user.is_staff, user.is_superuser, user.has_usable_password()))
    assert not Membership.objects.exists()


def test_with_open_sign_up_nobody_gets_a_name_in_use(
    provider: Control, client: Client, settings: Any
) -> None:
    settings.OIDC_SIGN_UP = True
    UserFactory(username=MAIL, email="")

    assert sign_in(client).status_code == 403
    assert User.objects.count() == 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("nonce", "another nonce"),
        ("forged_key", "Signature verification failed"),
        ("unknown_key", "an unknown key"),
        ("shared_key", "alg value is not allowed"),
        ("unsigned", "alg value is not allowed"),
        ("audience", "Audience doesn't match"),
        ("issuer", "Invalid issuer"),
        ("expired", "Signature has expired"),
        ("userinfo_of_another", "userinfo is of somebody else"),
    ],
)
def test_the_answer_of_the_provider_is_verified(
    provider: Control,
    olive: User,
    client: Client,
    caplog: pytest.LogCaptureFixture,
    fault: str,
    reason: str,
) -> None:
    provider(OLIVE, fault)

    answer = sign_in(client)

    assert answer.status_code == 403
    assert "could not be verified" in answer.content.decode()
    assert not is_in(client)
    assert "single sign-on: not believed" in caplog.text
    assert reason in caplog.text


def test_a_state_works_once_and_only_in_its_browser(
    provider: Control, olive: User, client: Client
) -> None:
    back = come_back(leave(client))
    other = Client()

    assert other.get(back).status_code == 400
    assert client.get(back.replace("state=", "state=x")).status_code == 400
    assert client.get(back).status_code == 302
    assert client.get(back).status_code == 400
    assert not is_in(other)


def test_a_person_who_cancels_at_the_provider_returns_to_the_sign_in(
    provider: Control, olive: User, client: Client
) -> None:
    provider(OLIVE, "denied")

    answer = sign_in(client)

    assert answer["Location"] == "/accounts/login/"
    message = client.get("/accounts/login/").content.decode()
    assert "You did not sign in with Acme Login." in message


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_an_unavailable_provider_is_reported(
    provider: Control, olive: User, client: Client, settings: Any, when: str
) -> None:
    back = come_back(leave(client))
    settings.OIDC_SERVER_URL = f"http://127.0.0.1:{free_port()}"

    answer = client.post(BEGIN) if when == "before" else client.get(back)

    assert answer.status_code == 503
    assert "Acme Login does not answer" in answer.content.decode()
    assert not is_in(client)


@pytest.mark.parametrize("fault", ["broken", "discovery"])
def test_nobody_signs_in_by_a_broken_provider(
    provider: Control, olive: User, client: Client, fault: str
) -> None:
    back = come_back(leave(client))
    provider(OLIVE, fault)

    assert client.get(back).status_code == 403
    assert not is_in(client)


def test_a_second_factor_is_required_here_too(
    provider: Control, olive: User, client: Client
) -> None:
    TOTP.activate(olive, generate_totp_secret())

    answer = sign_in(client)

    assert answer["Location"].startswith("/accounts/2fa/authenticate/")
    assert not is_in(client)
    assert Authenticator.objects.exists()


def test_a_person_who_needs_a_second_factor_sets_it_up_first(
    provider: Control, olive: User, client: Client, settings: Any
) -> None:
    settings.SECOND_FACTOR_REQUIRED_OF = ["admins"]
    MembershipFactory(user=olive, role="admin")
    sign_in(client)

    assert client.get("/cohorts/")["Location"] == "/accounts/2fa/totp/activate/"


def test_a_password_lock_out_stays_and_does_not_lock_single_sign_on(
    provider: Control, olive: User, client: Client
) -> None:
    def by_password(password: str) -> int:
        given = {"login": "olive@acme", "password": password}
        return client.post("/accounts/login/", given).status_code

    for _ in range(10):
        by_password("wrong")
    assert by_password("demo") == 429

    assert sign_in(client)["Location"] == "/"
    assert is_in(client)


def test_a_signed_in_superuser_connects_an_account_and_removes_it(
    provider: Control, olive: User, client: Client
) -> None:
    User.objects.update(is_superuser=True)
    given = {"login": "olive@acme", "password": "demo"}
    client.post("/accounts/login/", given)
    assert "Connect Acme Login" in client.get(CONNECTIONS).content.decode()

    # An open browser is not enough: the password is required again.
    asked = sign_in(client, process="connect", next=CONNECTIONS)
    assert asked["Location"].startswith("/accounts/reauthenticate/")
    assert not SocialAccount.objects.exists()
    client.post(asked["Location"], {"password": "demo"})
    assert MAIL in client.get(CONNECTIONS).content.decode()
    client.logout()
    sign_in(client)
    assert who_is_in(client) == "olive@acme"

    client.post("/accounts/reauthenticate/", {"password": "demo"})
    client.post(CONNECTIONS, {"account": SocialAccount.objects.get().pk})
    assert not SocialAccount.objects.exists()


def test_an_account_of_somebody_else_is_not_connected(
    provider: Control, olive: User, client: Client
) -> None:
    sign_in(client)
    other = UserFactory(username="popeye", password="demo")
    browser = Client()
    browser.post("/accounts/login/", {"login": "popeye", "password": "demo"})
    browser.post("/accounts/reauthenticate/", {"password": "demo"})

    sign_in(browser, process="connect")

    assert SocialAccount.objects.get().user == olive != other


def test_no_log_line_contains_a_secret(
    provider: Control, olive: User, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for fault in ("", "broken", "forged_key", "nonce"):
        provider(OLIVE, fault)
        url = leave(client)
        state = client.session["socialaccount_states"]
        verifiers = [kept[0]["pkce_code_verifier"] for kept in state.values()]
        back = come_back(url)
        client.get(back)
        code = parse_qs(urlsplit(back).query).get("code", ["x" * 99])[0]

        for secret in (CLIENT_SECRET, code, *verifiers):
            assert secret not in caplog.text
