"""Answers to brokers over HTTP, asked exactly as EMQX 5 and mosquitto-go-auth ask."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from iotplatform.common.topics import UPLINK
from registry.api import broker as broker_api
from registry.models import Tenant
from registry.services.credentials import (
    issue_credential,
    register_certificate,
    revoke_credential,
)
from registry.services.lifecycle import move_lifecycle
from tests.factories import DeviceFactory
from tests.registry.certificates import Authority, fingerprint

BROKER_SECRET = "a-secret-of-the-broker-0123456789abcdef"
AUTHN = "/broker/v1/emqx/devices/authn/"
AUTHZ = "/broker/v1/emqx/authz/"
USER = "/broker/v1/mosquitto/devices/user/"
ACL = "/broker/v1/mosquitto/devices/acl/"


@pytest.fixture(autouse=True)
def over_http(settings: Any, db: None) -> None:
    settings.BROKER_CREDENTIALS = "http"
    settings.BROKER_SECRET = BROKER_SECRET
    settings.MQTT_URL = "mqtt://%40bridge:pass%2Fword@host:1883?version=5&share=b"


def emqx(path: str, **body: Any) -> bool:
    """Ask as EMQX does, with the header that its configuration sets."""
    answer = Client().post(
        path,
        body,
        content_type="application/json",
        headers={"Authorization": f"Bearer {BROKER_SECRET}"},
    )
    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    body = answer.json()
    assert body["is_superuser"] is False
    assert body["result"] in ("allow", "deny")
    return bool(body["result"] == "allow")


def go_auth(path: str, *, as_form: bool = False, **body: Any) -> bool:
    """Ask as mosquitto-go-auth does, in either of its modes, answered in JSON."""
    words = urlencode(body) if as_form else json.dumps(body)
    kind = "application/x-www-form-urlencoded" if as_form else "application/json"
    url = f"{path}?secret={BROKER_SECRET}"
    answer = Client().post(url, words, content_type=kind)
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"ok", "error"}
    return bool(body["ok"])


def device(acme: Tenant, uid: str = "dev-1") -> tuple[Any, str]:
    made = DeviceFactory(tenant=acme, uid=uid)
    return made, issue_credential(made).secret


def test_several_secrets_overlap_until_one_is_revoked(acme: Tenant) -> None:
    row, old = device(acme)
    newer = issue_credential(row)
    asked = {"username": "dev-1", "clientid": "dev-1"}

    assert newer.supersedes == []
    assert newer.older_stay_valid
    assert "stay valid" in newer.note
    assert emqx(AUTHN, password=old, **asked)
    assert emqx(AUTHN, password=newer.secret, **asked)
    revoke_credential(newer.credential)
    assert emqx(AUTHN, password=old, **asked)
    assert not emqx(AUTHN, password=newer.secret, **asked)


@pytest.mark.parametrize("as_form", [False, True])
def test_mosquitto_asks_in_json_or_as_a_form(acme: Tenant, as_form: bool) -> None:
    _, secret = device(acme)

    def ask(path: str, **body: Any) -> bool:
        return go_auth(path, as_form=as_form, username="dev-1", **body)

    assert ask(USER, password=secret, clientid="dev-1")
    assert not ask(USER, password="guess", clientid="dev-1")
    assert not ask("/broker/v1/mosquitto/devices/superuser/")
    assert ask(ACL, clientid="dev-1", topic="iot/v1/dev-1/heartbeat", acc=2)
    assert ask(ACL, clientid="dev-1", topic="iot/v1/dev-1/down/command", acc=1)
    assert ask(ACL, clientid="dev-1", topic="iot/v1/dev-1/down/#", acc=4)
    assert not ask(ACL, clientid="dev-1", topic="iot/v1/dev-1/down/command", acc=2)
    assert not ask(ACL, clientid="dev-1", topic="iot/v1/dev-1/heartbeat", acc=3)
    assert not ask(ACL, clientid="dev-1", topic="iot/v1/dev-1/heartbeat", acc=9)
    assert not ask(ACL, clientid="dev-1", topic="iot/v1/dev-1/heartbeat", acc="x")


def test_a_client_that_is_not_the_device_is_refused(acme: Tenant) -> None:
    _, secret = device(acme)
    _, other = device(acme, "dev-2")
    tries: list[dict[str, Any]] = [
        {"username": "dev-1", "password": other},
        {"username": "dev-1", "password": ""},
        {"username": "dev-1"},
        {"username": "dev-1", "password": None},
        {"username": "dev-1", "password": secret + "x"},
        {"username": "dev-1", "password": "x" * 90_000},
        {"username": "dev-1", "password": secret, "clientid": "dev-2"},
        {"username": "DEV-1", "password": secret},
        {"username": "", "password": secret},
        {"username": "dev-1\0", "password": secret},
        {"username": "dev-1\ud800", "password": secret},
        {"username": "dev-1", "password": "\ud800"},
        {"username": ["dev-1"], "password": secret},
        {"username": "dev-404", "password": secret},
        {},
    ]

    assert [body for body in tries if emqx(AUTHN, **body)] == []


def test_a_retired_device_may_not_connect(acme: Tenant) -> None:
    row, secret = device(acme)
    asked = {"username": "dev-1", "topic": "iot/v1/dev-1/status", "action": "publish"}
    assert emqx(AUTHZ, **asked)

    move_lifecycle(device=row, to="retired")

    assert not emqx(AUTHN, username="dev-1", password=secret)
    assert not emqx(AUTHZ, **asked)


def test_the_platforms_names_are_accepted_only_on_its_own_listener(
    acme: Tenant,
) -> None:
    platform = "/broker/v1/emqx/platform/authn/"
    row, secret = device(acme)
    bridge = {"username": "@bridge", "password": "pass/word", "clientid": "@bridge-1"}

    assert emqx(platform, **bridge)
    assert not emqx(AUTHN, **bridge)
    assert not emqx(platform, **bridge | {"password": "guess"})
    assert not emqx(platform, **bridge | {"username": "@other"})
    assert not emqx(platform, username=row.uid, password=secret)
    assert emqx(AUTHZ, username="@bridge", topic="iot/v1/a/down/x", action="publish")
    shared = "$share/bridge/iot/v1/+/status"
    assert emqx(AUTHZ, username="@bridge", topic=shared, action="subscribe")
    assert not emqx(AUTHZ, username="@bridge", topic="elsewhere", action="publish")
    acl: Any = {"username": "@bridge", "topic": "iot/v1/a/status", "acc": 1}
    assert not go_auth(ACL, **acl)
    assert go_auth("/broker/v1/mosquitto/platform/acl/", **acl)


def test_http_answers_equal_the_access_files(acme: Tenant) -> None:
    device(acme)
    own = [topic.replace("+", "c1") for topic in UPLINK]
    trees = ("iot/v1/dev-1", "iot/v1/dev-1/child/kid-1")

    for tree in trees:
        for topic in own:
            where = {"username": "dev-1", "topic": f"{tree}/{topic}"}
            assert emqx(AUTHZ, action="publish", **where), where
            assert not emqx(AUTHZ, action="subscribe", **where), where
        for topic in ("down/command", "down/desired", "down/#"):
            where = {"username": "dev-1", "topic": f"{tree}/{topic}"}
            assert not emqx(AUTHZ, action="publish", **where), where
            assert emqx(AUTHZ, action="subscribe", **where), where


@pytest.mark.parametrize("action", ["publish", "subscribe"])
def test_nothing_else_is_allowed(acme: Tenant, action: str) -> None:
    device(acme)
    topics = [
        *("#", "+", "$SYS/#", "$share/g/iot/v1/dev-1/down/#", "", "/", "iot/v1"),
        *("iot/v1/dev-2/status", "iot/v1/dev-2/down/#", "iot/v1/+/down/#"),
        *("iot/v1/dev-2/child/dev-1/status", "iot/v1/dev-1", "iot/v1/dev-1/#"),
        *("iot/v1/dev-1/status/", "/iot/v1/dev-1/status", "iot/v1/dev-1//status"),
        *("iot/v1/dev-1/child/a/child/b/status", "iot/v1/%u/status"),
        *("iot/v1/DEV-1/status", "iot/v1/dev-1/Status", "iot/v1/dev-1/status\0"),
        *("iot/v1/dev-1/status\ud800", "x" * 70_000, "iot/v1/dev-1/command/+/ack"),
    ]
    where = [{"username": "dev-1", "topic": topic} for topic in topics]

    assert [w for w in where if emqx(AUTHZ, action=action, **w)] == []
    assert not emqx(AUTHZ, username="dev-1", topic="iot/v1/dev-1/status", action="all")


def test_a_wrong_broker_secret_and_an_unreadable_request_are_refused(
    settings: Any, acme: Tenant
) -> None:
    _, secret = device(acme)
    asked = {"username": "dev-1", "password": secret}
    headers = {"Authorization": f"Bearer {BROKER_SECRET}"}
    kind = "application/json"
    client = Client()
    answers = [
        client.post(AUTHN, asked, content_type=kind),
        client.post(AUTHN, asked, content_type=kind, headers={"Authorization": "x"}),
        client.get(AUTHN, asked, headers=headers),
        *(
            client.post(AUTHN, body, content_type=kind, headers=headers)
            for body in ("", "{", "[]", "null", '"x"', "[" * 5_000, b"\xff\xfe")
        ),
    ]
    settings.BROKER_SECRET = ""
    answers.append(client.post(AUTHN, asked, content_type=kind))

    assert {(a.status_code, a.json()["result"]) for a in answers} == {(200, "deny")}


def test_no_new_client_is_admitted_while_the_database_is_away(
    acme: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, secret = device(acme)

    def away(*args: Any, **kwargs: Any) -> bool:
        raise OperationalError("away")

    monkeypatch.setattr(broker_api, "is_secret_of_across_tenants", away)
    monkeypatch.setattr(broker_api, "may_connect_across_tenants", away)

    assert not emqx(AUTHN, username="dev-1", password=secret)
    own = {"username": "dev-1", "topic": "iot/v1/dev-1/heartbeat"}
    assert emqx(AUTHZ, action="publish", **own)
    assert not emqx(AUTHZ, username="dev-1", topic="iot/v1/x/y", action="publish")


@pytest.mark.parametrize("path", [AUTHN, AUTHZ])
def test_an_answer_costs_one_query(acme: Tenant, path: str) -> None:
    row, secret = device(acme)
    for _ in range(3):
        issue_credential(row)
    asked = {"username": "dev-1", "clientid": "dev-1", "password": secret}
    asked |= {"topic": "iot/v1/dev-1/heartbeat", "action": "publish"}

    with CaptureQueriesContext(connection) as queries:
        assert emqx(path, **asked)

    assert len(queries) == 1


def test_a_device_is_admitted_with_its_certificate(
    acme: Tenant, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    mine, _ = authority.issue("dev-1")
    forged, _ = authority.issue("dev-1", file="forged")
    row = DeviceFactory(tenant=acme, uid="dev-1")
    DeviceFactory(tenant=acme, uid="dev-2")
    known = register_certificate(row, fingerprint=fingerprint(mine)).credential
    pem = {"cert_pem": mine.read_text()}

    assert emqx(AUTHN, username="dev-1", **pem)
    assert emqx(AUTHN, username="dev-1", cert_fingerprint=fingerprint(mine).upper())
    assert emqx(AUTHN, username="dev-1", cert_common_name="dev-1")
    assert not emqx(AUTHN, username="dev-1", cert_pem=forged.read_text())
    assert not emqx(AUTHN, username="dev-2", **pem)
    assert not emqx(AUTHN, username="dev-1", cert_pem="junk")
    assert not emqx(AUTHN, username="dev-2", cert_common_name="dev-2")
    revoke_credential(known)
    assert not emqx(AUTHN, username="dev-1", **pem)
    assert not emqx(AUTHN, username="dev-1", cert_common_name="dev-1")
