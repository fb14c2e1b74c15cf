"""Certificates as credentials: identified by a fingerprint that is unique."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path
from typing import Any

import pytest
from rest_framework.test import APIClient

from registry.certificates import fingerprint_of
from registry.models import Credential, Device, Tenant
from tests.factories import DeviceFactory
from tests.registry.certificates import Authority, fingerprint
from tests.registry.conftest import fields_of

HEX = "ab" * 32


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Authority(tmp_path_factory.mktemp("ca")).issue("dev-1")[0]


def post(client: APIClient, device: Device, **body: Any) -> Any:
    url = f"/api/v1/devices/{device.uid}/credentials/"
    return client.post(url, body, format="json")


def test_a_certificate_is_stored_as_its_fingerprint_and_has_no_secret(
    manager: APIClient, acme: Tenant, certificate: Path
) -> None:
    device = DeviceFactory(tenant=acme)

    answer = post(manager, device, kind="x509", certificate=certificate.read_text())

    assert answer.status_code == 201, answer.json()
    body = answer.json()
    assert body["kind"] == "x509"
    assert body["fingerprint"] == fingerprint(certificate)
    assert body["secret"] is None
    assert body["older_stay_valid"] is True
    listed = manager.get(f"/api/v1/devices/{device.uid}/credentials/").json()
    assert listed["results"][0]["fingerprint"] == fingerprint(certificate)


def test_a_fingerprint_may_be_given_as_openssl_prints_it(
    manager: APIClient, acme: Tenant
) -> None:
    device = DeviceFactory(tenant=acme)
    printed = ":".join(["AB"] * 32)

    answer = post(manager, device, kind="x509", fingerprint=printed)

    assert answer.json()["fingerprint"] == HEX


def test_a_fingerprint_is_unique_across_the_platform(
    manager: APIClient, stranger: APIClient, acme: Tenant, globex: Tenant
) -> None:
    mine, theirs = DeviceFactory(tenant=acme), DeviceFactory(tenant=globex)
    first = post(manager, mine, kind="x509", fingerprint=HEX).json()

    refused = post(stranger, theirs, kind="x509", fingerprint=HEX)

    assert refused.status_code == 400
    assert fields_of(refused) == {"fingerprint"}
    manager.delete(f"/api/v1/devices/{mine.uid}/credentials/{first['id']}/")
    assert post(stranger, theirs, kind="x509", fingerprint=HEX).status_code == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "x509"}, "certificate"),
        ({"kind": "x509", "certificate": "no"}, "certificate"),
        ({"kind": "x509", "certificate": "A" * 30_000}, "certificate"),
        ({"kind": "x509", "fingerprint": "ab:cd"}, "fingerprint"),
        ({"kind": "x509", "fingerprint": "g" * 64}, "fingerprint"),
        ({"fingerprint": HEX}, "fingerprint"),
        ({"kind": "password", "certificate": "no"}, "certificate"),
        ({"kind": "smell"}, "kind"),
        ({"secret": "mine"}, "secret"),
    ],
)
def test_a_text_that_is_no_certificate_is_refused_naming_the_field(
    manager: APIClient, acme: Tenant, body: dict[str, str], field: str
) -> None:
    answer = post(manager, DeviceFactory(tenant=acme), **body)

    assert answer.status_code == 400
    assert fields_of(answer) == {field}
    assert not Credential.objects.exists()


def test_a_fingerprint_of_another_certificate_is_refused(
    manager: APIClient, acme: Tenant, certificate: Path
) -> None:
    device = DeviceFactory(tenant=acme)
    text = certificate.read_text()

    answer = post(manager, device, kind="x509", certificate=text, fingerprint=HEX)

    assert fields_of(answer) == {"fingerprint"}


def test_every_form_in_which_brokers_pass_a_certificate_is_read(
    certificate: Path,
) -> None:
    pem = certificate.read_text()
    der = ssl.PEM_cert_to_DER_cert(pem)
    forms = [
        pem,
        base64.b64encode(pem.encode()).decode(),
        base64.b64encode(der).decode(),
    ]

    assert {fingerprint_of(form) for form in forms} == {fingerprint(certificate)}
    with pytest.raises(ValueError, match="chain"):
        fingerprint_of(pem + pem)
