"""The requests of EMQX and mosquitto-go-auth, in the form that their sources show.

Neither can be started here. Their sources say what they send:

- EMQX 5: ``apps/emqx_auth_http/src/emqx_authn_http.erl`` and ``emqx_authz_http.erl``
  (a POST of the configured body as JSON, and what an answer means), and
  ``apps/emqx_auth/src/emqx_auth_template.erl`` (a value that there is not is an empty
  text; ``cert_pem`` is base64).
- mosquitto-go-auth: ``backends/http.go`` (fields, headers, modes, answers).
"""

from __future__ import annotations

import base64
import json
import ssl
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from registry.models import Tenant
from registry.services.credentials import issue_credential, register_certificate
from tests.factories import DeviceFactory
from tests.registry.certificates import Authority, fingerprint

SECRET = "a-secret-of-the-broker-0123456789abcdef"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(autouse=True)
def over_http(settings: Any, db: None) -> None:
    settings.BROKER_CREDENTIALS = "http"
    settings.BROKER_SECRET = SECRET


def emqx(path: str, body: str) -> str:
    """Return what EMQX concludes from the answer: allow, deny, or ask the next one."""
    answer = Client().post(
        f"/broker/v1/emqx/{path}/",
        body,
        content_type="application/json",
        headers={"Authorization": f"Bearer {SECRET}"},
    )
    if answer.status_code == 204:
        return "allow"
    if answer.status_code != 200:
        return "ignore"
    if not answer["Content-Type"].startswith("application/json"):
        return "ignore"
    verdict = answer.json()
    assert verdict.get("is_superuser") is False
    return str(verdict.get("result", "ignore"))


def go_auth(path: str, body: str, *, media: str = "application/json") -> bool:
    """Return what the plugin concludes from the answer in response mode ``json``."""
    answer = Client().post(
        f"/broker/v1/mosquitto/devices/{path}/?secret={SECRET}",
        body,
        content_type=media,
    )
    assert answer.status_code == 200  # 500 and more are errors to it
    verdict = json.loads(answer.content)
    assert isinstance(verdict["ok"], bool)
    assert isinstance(verdict["error"], str)
    return verdict["ok"]


def entering(password: str, *, cert_pem: str = "", name: str = "") -> str:
    """The body of EMQX's request: a field without value is empty."""
    return (
        f'{{"cert_common_name":"{name}","cert_pem":"{cert_pem}","clientid":"dev-1",'
        f'"password":"{password}","username":"dev-1"}}'
    )


def test_emqx_asks_for_a_device_with_a_secret(acme: Tenant) -> None:
    secret = issue_credential(DeviceFactory(tenant=acme, uid="dev-1")).secret
    nobody = entering("").replace("dev-1", "")

    assert emqx("devices/authn", entering(secret)) == "allow"
    assert emqx("devices/authn", entering("guess")) == "deny"
    assert emqx("devices/authn", entering("")) == "deny"
    assert emqx("devices/authn", nobody) == "deny"


def test_emqx_asks_for_a_device_with_a_certificate_in_base64(
    acme: Tenant, tmp_path: Path
) -> None:
    made, _ = Authority(tmp_path).issue("dev-1")
    row = DeviceFactory(tenant=acme, uid="dev-1")
    der = ssl.PEM_cert_to_DER_cert(made.read_text())
    asked = entering("", cert_pem=base64.b64encode(der).decode(), name="dev-1")

    before = emqx("devices/authn", asked)
    register_certificate(row, fingerprint=fingerprint(made))

    assert (before, emqx("devices/authn", asked)) == ("deny", "allow")


@pytest.mark.parametrize(
    ("action", "topic", "answer"),
    [
        ("publish", "iot/v1/dev-1/telemetry", "allow"),
        ("subscribe", "iot/v1/dev-1/down/#", "allow"),
        ("publish", "iot/v1/dev-1/down/command", "deny"),
        ("subscribe", "iot/v1/dev-2/down/#", "deny"),
        ("publish", "", "deny"),
    ],
)
def test_emqx_asks_what_a_device_may_do(
    acme: Tenant, action: str, topic: str, answer: str
) -> None:
    issue_credential(DeviceFactory(tenant=acme, uid="dev-1"))
    body = f'{{"action":"{action}","topic":"{topic}","username":"dev-1"}}'

    assert emqx("authz", body) == answer


def test_go_auth_asks_in_json(acme: Tenant) -> None:
    secret = issue_credential(DeviceFactory(tenant=acme, uid="dev-1")).secret
    user = '{"clientid":"dev-1","password":"%s","username":"dev-1"}'
    acl = '{"acc":%d,"clientid":"dev-1","topic":"iot/v1/dev-1/%s","username":"dev-1"}'

    assert go_auth("user", user % secret)
    assert not go_auth("user", user % "guess")
    assert not go_auth("user", user % "")
    assert not go_auth("superuser", '{"username":"dev-1"}')
    assert go_auth("acl", acl % (2, "status"))
    assert go_auth("acl", acl % (4, "down/#"))
    assert go_auth("acl", acl % (1, "down/command"))
    assert not go_auth("acl", acl % (2, "down/command"))
    assert not go_auth("acl", acl % (4, "#"))


def test_go_auth_asks_as_a_form(acme: Tenant) -> None:
    secret = issue_credential(DeviceFactory(tenant=acme, uid="dev-1")).secret
    user = "clientid=dev-1&password={}&username=dev-1"
    acl = "acc={}&clientid=dev-1&topic=iot%2Fv1%2Fdev-1%2F{}&username=dev-1"

    assert go_auth("user", user.format(secret), media=FORM)
    assert not go_auth("user", user.format("guess"), media=FORM)
    assert not go_auth("user", user.format(""), media=FORM)
    assert not go_auth("superuser", "username=dev-1", media=FORM)
    assert go_auth("acl", acl.format(2, "status"), media=FORM)
    assert go_auth("acl", acl.format(4, "down%2F%23"), media=FORM)
    assert not go_auth("acl", acl.format(2, "down%2Fcommand"), media=FORM)
