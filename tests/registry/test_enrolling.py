"""Enrolling: a device with a key registers itself or is claimed, once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from typing import Any

import pytest
from django.db import connections
from rest_framework.test import APIClient

from registry.models import Credential, Device, Product, Site, Tenant
from registry.selectors.credentials import is_secret_of_across_tenants
from registry.services import credentials
from registry.services.credentials import issue_credential, revoke_credential
from tests.factories import (
    BatchFactory,
    DeviceFactory,
    HardwareRevisionFactory,
    ProductFactory,
    SiteFactory,
    TenantFactory,
)
from tests.registry.conftest import fields_of
from tests.registry.enrolment import KEYS, enrol, make_key, order, used


def test_a_device_registers_itself_and_may_connect(
    settings: Any, manager: APIClient, site: Site, product: Product
) -> None:
    settings.DEVICE_MQTT_URL = "mqtts://broker.example:8883"
    made = manager.post(KEYS, order(), format="json").json()

    answer = enrol(made["key"], uid="dev-1", serial="S-1", attributes={})

    assert answer.status_code == 201, answer.json()
    body = answer.json()
    device = Device.objects.get(uid="dev-1")
    assert device.lifecycle == body["lifecycle"] == "provisioned"
    assert (device.site, device.product, device.serial) == (site, product, "S-1")
    assert body["claimed"] is False
    assert body["mqtt_url"] == "mqtts://broker.example:8883"
    assert body["http_url"].endswith("/device/v1/")
    assert is_secret_of_across_tenants("dev-1", body["secret"])
    shown = manager.get(f"{KEYS}{made['id']}/").json()
    assert shown["used_count"] == 1
    again = enrol(made["key"], uid="dev-1", serial="S-1")
    assert again.status_code == 409
    assert "key cannot enrol this device" in again.json()["detail"]


@pytest.mark.parametrize(
    "sent", [{"uid": "dev-1"}, {"serial": "S-1"}, {"uid": "made-up", "serial": "S-1"}]
)
def test_an_imported_device_is_claimed_once_as_it_is(
    site: Site, product: Product, sent: dict[str, str]
) -> None:
    elsewhere = SiteFactory(tenant=site.tenant)
    imported = DeviceFactory(
        **{"tenant": site.tenant, "site": elsewhere, "product": product},
        **{"uid": "dev-1", "serial": "S-1", "lifecycle": "active"},
    )
    _, key = make_key(site, product)

    answer = enrol(key, **sent)

    assert answer.status_code == 201, answer.json()
    assert answer.json()["claimed"] is True
    assert answer.json()["uid"] == "dev-1"
    assert answer.json()["site"] == elsewhere.slug
    imported.refresh_from_db()
    assert imported.lifecycle == "active"
    assert is_secret_of_across_tenants("dev-1", answer.json()["secret"])
    assert enrol(key, **sent).status_code == 409


def test_a_device_that_the_key_may_not_claim_stays_unchanged(
    site: Site, product: Product, globex: Tenant
) -> None:
    tenant = site.tenant
    known = DeviceFactory(tenant=tenant, product=product, uid="known", serial="S-1")
    revoke_credential(issue_credential(known).credential)
    DeviceFactory(tenant=tenant, uid="other-product")
    DeviceFactory(tenant=globex, uid="other-tenant", serial="S-2")
    DeviceFactory(tenant=tenant, product=product, uid="gone", lifecycle="retired")
    DeviceFactory(tenant=tenant, product=product, uid="mine", serial="S-3")
    row, key = make_key(site, product)
    tries = [
        *({"uid": uid} for uid in ("known", "other-product", "other-tenant", "gone")),
        {"serial": "S-1"},
        {"uid": "mine", "serial": "S-4"},
    ]

    answers = [enrol(key, **sent) for sent in tries]

    assert [answer.status_code for answer in answers] == [409] * 6
    assert len({answer.json()["detail"] for answer in answers[:5]}) == 1
    assert used(row) == 0
    assert Credential.objects.count() == 1
    # A serial of another tenant does not matter here.
    assert enrol(key, uid="new", serial="S-2").status_code == 201


def test_a_batchs_key_is_for_devices_of_that_batch_only(
    manager: APIClient, site: Site, product: Product
) -> None:
    revision = HardwareRevisionFactory(tenant=site.tenant, product=product)
    mine, other = BatchFactory.create_batch(
        2, tenant=site.tenant, hardware_revision=revision
    )
    DeviceFactory(
        **{"tenant": site.tenant, "product": product, "uid": "of-other"},
        **{"hardware_revision": revision, "batch": other},
    )
    wanted = order(batch=mine.slug)
    del wanted["product"]
    made = manager.post(KEYS, wanted, format="json")
    assert made.status_code == 201, made.json()
    assert (made.json()["product"], made.json()["batch"]) == (product.slug, mine.slug)

    new = enrol(made.json()["key"], uid="dev-1")
    foreign = enrol(made.json()["key"], uid="of-other")

    assert (new.status_code, foreign.status_code) == (201, 409)
    device = Device.objects.get(uid="dev-1")
    assert (device.batch, device.hardware_revision) == (mine, revision)
    stray = BatchFactory(tenant=site.tenant)
    refused = manager.post(KEYS, order(batch=stray.slug), format="json")
    assert fields_of(refused) == {"batch"}
    nothing = order()
    del nothing["product"]
    assert fields_of(manager.post(KEYS, nothing, format="json")) == {"product"}


@pytest.mark.parametrize(
    ("sent", "field"),
    [
        ({}, "uid"),
        ({"uid": ""}, "uid"),
        ({"uid": "@bridge"}, "uid"),
        ({"uid": "a/b"}, "uid"),
        ({"uid": "x" * 65}, "uid"),
        ({"serial": "unknown"}, "uid"),
        ({"uid": "dev-1", "adapter": "pigeon"}, "adapter"),
        (
            {"uid": "dev-1", "attributes": {"battery_rev": "Z"}},
            "attributes.battery_rev",
        ),
        ({"uid": "dev-1", "tenant": "globex"}, "tenant"),
        ({"uid": "dev-1", "lifecycle": "active"}, "lifecycle"),
    ],
)
def test_bad_input_names_the_field_and_does_not_use_up_the_key(
    site: Site, product: Product, sent: dict[str, Any], field: str
) -> None:
    row, key = make_key(site, product)

    answer = enrol(key, **sent)

    assert answer.status_code == 400, answer.json()
    assert fields_of(answer) == {field}
    assert used(row) == 0
    assert not Device.objects.exists()


def test_the_key_is_not_used_up_while_the_broker_does_not_answer(
    settings: Any, transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.BROKER_CREDENTIALS = "files"
    monkeypatch.setattr(credentials, "WAIT_SECONDS", 0.1)
    tenant = TenantFactory()
    row, key = make_key(SiteFactory(tenant=tenant), ProductFactory(tenant=tenant))

    answer = enrol(key, uid="dev-1")

    assert answer.status_code == 503
    assert used(row) == 0
    assert not Credential.objects.exists()
    settings.BROKER_CREDENTIALS = "none"
    again = enrol(key, uid="dev-1")
    assert (again.status_code, again.json()["claimed"]) == (201, True)


@pytest.mark.parametrize("same_uid", [False, True])
def test_fifty_devices_at_once_never_exceed_the_keys_number(
    transactional_db: None, same_uid: bool
) -> None:
    tenant = TenantFactory()
    site, product = SiteFactory(tenant=tenant), ProductFactory(tenant=tenant)
    row, key = make_key(site, product, max_devices=20)
    barrier = Barrier(50)

    def call(number: int) -> int:
        barrier.wait()
        try:
            uid = "the-one" if same_uid else f"dev-{number}"
            return int(enrol(key, uid=uid).status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(call, range(50)))

    places = 1 if same_uid else 20
    assert answers.count(201) == places
    assert answers.count(409) == 50 - places
    assert Device.objects.count() == Credential.objects.count() == used(row) == places


def test_enrolments_from_one_address_are_throttled(
    settings: Any, time_machine: Any, site: Site, product: Product
) -> None:
    from rest_framework.settings import api_settings

    time_machine.move_to(datetime.now(UTC), tick=False)  # all of them in one window
    rates = api_settings.DEFAULT_THROTTLE_RATES | {"enrol": "3/min"}
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {
        "DEFAULT_THROTTLE_RATES": rates
    }
    client = APIClient(REMOTE_ADDR="192.0.2.77")

    def call() -> Any:
        body = {"key": "guess", "uid": "dev-1"}
        return client.post("/api/v1/enrol/", body, format="json")

    answers = [call() for _ in range(8)]

    assert [answer.status_code for answer in answers[-2:]] == [429, 429]
    assert int(answers[-1]["Retry-After"]) > 0
