"""API tokens: how to get one, what it allows, and when it expires."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from rest_framework.test import APIClient

from registry.models import ApiToken, Tenant, User
from registry.services.tokens import create_token, revoke_token
from tests.factories import DeviceFactory, MembershipFactory, UserFactory

URL = "/api/v1/auth/token/"
DEVICES = "/api/v1/devices/"


@pytest.fixture
def operator(acme: Tenant) -> User:
    user: User = UserFactory(username="operator@acme", password="demo")
    MembershipFactory(user=user, tenant=acme, role="manager")
    return user


def sign_in(password: str = "demo", username: str = "operator@acme") -> Any:
    given = {"username": username, "password": password}
    return APIClient().post(URL, given, format="json")


def with_key(key: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {key}")
    return client


def test_name_and_password_give_a_key_that_is_stored_hashed(operator: User) -> None:
    answer = sign_in()

    assert answer.status_code == 200, answer.json()
    key = answer.json()["token"]
    assert key.startswith("iot_")
    row = ApiToken.objects.get()
    assert key not in (row.digest, row.prefix, row.name)
    assert row.scopes == ["read", "operate", "manage"]
    assert row.expires_at is not None
    assert with_key(key).get(DEVICES).status_code == 200


@pytest.mark.parametrize(
    "given",
    [
        {"username": "operator@acme", "password": "wrong"},
        {"username": "nobody", "password": "demo"},
    ],
)
def test_a_wrong_name_and_a_wrong_password_get_the_same_answer(
    operator: User, given: dict[str, str]
) -> None:
    answer = APIClient().post(URL, given, format="json")

    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"] == "The name or the password is wrong."
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "username"),
        ({"username": "x"}, "password"),
        ({"username": "x", "password": ["y"]}, "password"),
        ({"username": "x", "password": "y", "scope": "read"}, "scope"),
    ],
)
def test_missing_and_unknown_fields_are_named(
    db: None, given: dict[str, Any], field: str
) -> None:
    answer = APIClient().post(URL, given, format="json")

    assert answer.status_code == 400
    assert field in {row["field"] for row in answer.json()["errors"]}


def test_failed_tries_lock_the_name_for_a_while(operator: User) -> None:
    answers = [sign_in("wrong") for _ in range(10)]

    locked = sign_in("demo")

    assert answers[0].status_code == 400
    assert locked.status_code == 429
    assert locked["Content-Type"] == "application/problem+json"
    assert int(locked["Retry-After"]) > 0
    assert not ApiToken.objects.exists()
    with time_machine.travel(timezone.now() + timedelta(minutes=16)):
        assert sign_in("demo").status_code == 200


def test_an_inactive_person_gets_no_key_and_their_keys_stop_working(
    operator: User,
) -> None:
    key = sign_in().json()["token"]
    operator.is_active = False
    operator.save()

    assert sign_in().status_code == 400
    assert with_key(key).get(DEVICES).status_code == 401


@pytest.mark.parametrize(
    "header", ["Token", "Token a b", "Token iot_wrong", "Token \xff", "Bearer x", ""]
)
def test_an_unknown_key_is_401(operator: User, header: str) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=header)

    answer = client.get(DEVICES)

    assert answer.status_code == 401
    assert answer["Content-Type"] == "application/problem+json"


def test_an_expired_and_a_revoked_key_are_refused(operator: User) -> None:
    soon = timezone.now() + timedelta(hours=1)
    _, expiring = create_token(
        user=operator, name="a", scopes=["read"], expires_at=soon
    )
    row, revoked = create_token(user=operator, name="b", scopes=["read"])
    assert with_key(expiring).get(DEVICES).status_code == 200
    assert with_key(revoked).get(DEVICES).status_code == 200

    revoke_token(row)

    assert with_key(revoked).get(DEVICES).status_code == 401
    with time_machine.travel(soon + timedelta(seconds=1)):
        assert with_key(expiring).get(DEVICES).status_code == 401


def test_scopes_limit_the_rights_of_the_person(operator: User, acme: Tenant) -> None:
    device = DeviceFactory(tenant=acme)
    _, key = create_token(user=operator, name="reader", scopes=["read"])
    client = with_key(key)

    answer = client.patch(f"{DEVICES}{device.uid}/", {"name": "x"}, format="json")

    assert client.get(f"{DEVICES}{device.uid}/").status_code == 200
    assert answer.status_code == 403


def test_a_superusers_key_that_reads_administers_nothing(db: None) -> None:
    user = UserFactory(is_superuser=True)
    _, reading = create_token(user=user, name="r", scopes=["read"])
    _, managing = create_token(user=user, name="m", scopes=["manage"])

    assert with_key(reading).get("/api/v1/platform/").status_code == 403
    assert with_key(managing).get("/api/v1/platform/").status_code == 200


def test_use_is_recorded_once_a_minute(operator: User) -> None:
    _, key = create_token(user=operator, name="a", scopes=["read"])
    client = with_key(key)
    start = timezone.now()
    seen = []

    for seconds in (0, 30, 61):
        with time_machine.travel(start + timedelta(seconds=seconds), tick=False):
            client.get(DEVICES)
        seen.append(ApiToken.objects.get().last_used_at)

    assert seen == [start, start, start + timedelta(seconds=61)]


def test_no_secret_reaches_the_log(
    operator: User, acme: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    device = DeviceFactory(tenant=acme)

    key = sign_in().json()["token"]
    sign_in("a-wrong-password")
    client = with_key(key)
    secret = client.post(f"{DEVICES}{device.uid}/credentials/").json()["secret"]
    client.get(f"{DEVICES}nobody/")
    with_key(key + "x").get(DEVICES)

    lines = "\n".join(record.getMessage() for record in caplog.records)
    assert lines  # it does log
    for hidden in (key, secret, "a-wrong-password"):
        assert hidden not in lines
