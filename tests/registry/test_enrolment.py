"""Enrolment: one key, so many devices, until then; each gets its secret once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from ipaddress import IPv4Address
from secrets import randbits
from threading import Barrier
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from registry.models import Credential, Device, EnrolmentKey, Product, Site, Tenant
from registry.selectors.credentials import is_secret_of_across_tenants
from registry.services import credentials
from registry.services.credentials import issue_credential, revoke_credential
from registry.services.enrolment import create_enrolment_key
from tests.factories import (
    BatchFactory,
    DeviceFactory,
    HardwareRevisionFactory,
    ProductFactory,
    SiteFactory,
    TenantFactory,
    UserFactory,
)
from tests.registry.conftest import fields_of

KEYS = "/api/v1/enrolment-keys/"


def make_key(site: Site, product: Product, **more: Any) -> tuple[EnrolmentKey, str]:
    end = timezone.now() + timedelta(days=1)
    wanted: dict[str, Any] = {"max_devices": 5, "expires_at": end, **more}
    return create_enrolment_key(
        tenant=site.tenant, site=site, product=product, **wanted
    )


def enrol(key: str, **said: Any) -> Any:
    """What a device does: it has a key, and is nobody's user."""
    body = {"key": key, **said}
    # From an address of its own: one address may not enrol so many in a minute.
    client = APIClient(REMOTE_ADDR=str(IPv4Address(randbits(24) | 10 << 24)))
    return client.post("/api/v1/enrol/", body, format="json")


def order(**more: Any) -> dict[str, Any]:
    end = timezone.now() + timedelta(days=30)
    wanted = {"product": "sensor-s1", "site": "shanghai-01", "max_devices": 3}
    return wanted | {"expires_at": end.isoformat()} | more


def used(key: EnrolmentKey) -> int:
    key.refresh_from_db()
    return key.used_count


def test_a_key_is_shown_once_and_kept_as_a_digest(
    manager: APIClient, site: Site, product: Product
) -> None:
    answer = manager.post(KEYS, order(name="line 3"), format="json")

    assert answer.status_code == 201, answer.json()
    body = answer.json()
    row = EnrolmentKey.objects.get(public_id=body["id"])
    assert body["key"].startswith("enrol_")
    assert body["key"].startswith(body["prefix"])
    assert body["key"] not in (row.digest, row.prefix)
    for shown in (
        manager.get(KEYS).json()["results"][0],
        manager.get(f"{KEYS}{body['id']}/").json(),
    ):
        assert "key" not in shown
        assert "digest" not in shown
        assert shown["max_devices"] == 3
        assert shown["used_count"] == 0
        assert shown["product"] == "sensor-s1"
        assert shown["site"] == "shanghai-01"


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
    "said", [{"uid": "dev-1"}, {"serial": "S-1"}, {"uid": "made-up", "serial": "S-1"}]
)
def test_an_imported_device_is_claimed_once_as_it_is(
    site: Site, product: Product, said: dict[str, str]
) -> None:
    elsewhere = SiteFactory(tenant=site.tenant)
    imported = DeviceFactory(
        **{"tenant": site.tenant, "site": elsewhere, "product": product},
        **{"uid": "dev-1", "serial": "S-1", "lifecycle": "active"},
    )
    _, key = make_key(site, product)

    answer = enrol(key, **said)

    assert answer.status_code == 201, answer.json()
    assert answer.json()["claimed"] is True
    assert answer.json()["uid"] == "dev-1"
    assert answer.json()["site"] == elsewhere.slug
    imported.refresh_from_db()
    assert imported.lifecycle == "active"
    assert is_secret_of_across_tenants("dev-1", answer.json()["secret"])
    assert enrol(key, **said).status_code == 409


def test_what_is_not_this_keys_to_claim_stays_as_it_is(
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

    answers = [enrol(key, **said) for said in tries]

    assert [answer.status_code for answer in answers] == [409] * 6
    assert len({answer.json()["detail"] for answer in answers[:5]}) == 1
    assert used(row) == 0
    assert Credential.objects.count() == 1
    # A serial of another tenant is a stranger's: it says nothing about ours.
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
    ("said", "field"),
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
def test_bad_input_is_named_and_uses_nothing_up(
    site: Site, product: Product, said: dict[str, Any], field: str
) -> None:
    row, key = make_key(site, product)

    answer = enrol(key, **said)

    assert answer.status_code == 400, answer.json()
    assert fields_of(answer) == {field}
    assert used(row) == 0
    assert not Device.objects.exists()


def test_a_key_that_is_over_says_why(
    manager: APIClient, site: Site, product: Product
) -> None:
    revoked, revoked_key = make_key(site, product)
    manager.delete(f"{KEYS}{revoked.public_id}/")
    late, late_key = make_key(site, product)
    EnrolmentKey.objects.filter(pk=late.pk).update(expires_at=timezone.now())
    _, full_key = make_key(site, product, max_devices=1)
    assert enrol(full_key, uid="first").status_code == 201

    answers = [
        enrol(key, uid="dev-1")
        for key in ("enrol_unknown", revoked_key, late_key, full_key)
    ]

    assert [a.status_code for a in answers] == [403, 403, 403, 409]
    words = ("no such", "revoked", "expired", "All 1 devices")
    assert all(w in a.json()["detail"] for w, a in zip(words, answers, strict=True))
    assert enrol("", uid="dev-1").status_code == 400
    assert not Device.objects.filter(uid="dev-1").exists()


def test_number_and_time_can_be_changed_but_not_below_what_is_used(
    manager: APIClient, site: Site, product: Product
) -> None:
    row, key = make_key(site, product, max_devices=2)
    enrol(key, uid="a")
    enrol(key, uid="b")
    one = f"{KEYS}{row.public_id}/"

    assert enrol(key, uid="c").status_code == 409
    low = manager.patch(one, {"max_devices": 1}, format="json")
    past = manager.patch(one, {"expires_at": "2020-01-01T00:00:00Z"}, format="json")
    fixed = manager.patch(one, {"product": "another"}, format="json")
    more = manager.patch(one, {"max_devices": 3, "name": "more"}, format="json")

    assert fields_of(low) == {"max_devices"}
    assert fields_of(past) == {"expires_at"}
    assert fields_of(fixed) == {"product"}
    assert (more.status_code, more.json()["max_devices"]) == (200, 3)
    assert more.json()["used_count"] == 2
    assert enrol(key, uid="c").status_code == 201


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"max_devices": 0}, "max_devices"),
        ({"max_devices": 10**7}, "max_devices"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": None}, "expires_at"),
        ({"product": "of-globex"}, "product"),
        ({"site": "of-globex"}, "site"),
        ({"product": "of-children"}, "product"),
        ({"used_count": 1}, "used_count"),
    ],
)
def test_a_key_without_sense_is_refused(
    manager: APIClient,
    site: Site,
    product: Product,
    globex: Tenant,
    change: dict[str, Any],
    field: str,
) -> None:
    ProductFactory(tenant=globex, slug="of-globex")
    SiteFactory(tenant=globex, slug="of-globex")
    ProductFactory(tenant=site.tenant, slug="of-children", kind="child")

    answer = manager.post(KEYS, order(**change), format="json")

    assert answer.status_code == 400, answer.json()
    assert fields_of(answer) == {field}
    assert not EnrolmentKey.objects.exists()


def test_only_managers_of_the_tenant_see_and_touch_keys(
    viewer: APIClient,
    stranger: APIClient,
    act_as: Any,
    site: Site,
    product: Product,
) -> None:
    row, _ = make_key(site, product)
    one = f"{KEYS}{row.public_id}/"
    expected = {APIClient(): 401, viewer: 403, act_as("approver"): 403, stranger: 404}

    for client, status in expected.items():
        answers = [
            client.get(one),
            client.patch(one, {"name": "x"}, format="json"),
            client.delete(one),
        ]
        assert [answer.status_code for answer in answers] == [status] * 3
    assert viewer.post(KEYS, order(), format="json").status_code == 403
    assert viewer.get(KEYS).status_code == 403
    assert stranger.get(KEYS).json()["results"] == []
    row.refresh_from_db()
    assert row.revoked_at is None


def test_nothing_is_used_up_while_the_broker_does_not_answer(
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
def test_fifty_at_once_are_never_more_than_the_key_allows(
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
    settings: Any, site: Site, product: Product
) -> None:
    from rest_framework.settings import api_settings

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


def test_the_admin_makes_a_key_shows_it_once_and_revokes_it(
    site: Site, product: Product
) -> None:
    client = Client()
    client.force_login(UserFactory(is_superuser=True, is_staff=True))
    add = "/admin/registry/enrolmentkey/add/"
    form = {
        **{"tenant": site.tenant_id, "product": product.pk, "site": site.pk},
        **{"name": "line 3", "max_devices": 4},
        **{"expires_at_0": "2040-01-01", "expires_at_1": "00:00:00"},
    }

    shown = client.post(add, form)

    row = EnrolmentKey.objects.get()
    assert shown.status_code == 200
    assert row.prefix in shown.content.decode()
    assert "no-store" in shown["Cache-Control"]
    listed = client.get("/admin/registry/enrolmentkey/")
    assert "line 3" in listed.content.decode()
    change = f"/admin/registry/enrolmentkey/{row.pk}/change/"
    assert client.get(change).status_code == 200
    action = {"action": "revoke", "_selected_action": [row.pk]}
    client.post("/admin/registry/enrolmentkey/", action)
    row.refresh_from_db()
    assert row.revoked_at is not None
