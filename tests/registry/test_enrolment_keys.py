"""Enrolment keys: shown once, bounded in number and time, for managers only."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from registry.models import Device, EnrolmentKey, Product, Site, Tenant
from tests.factories import ProductFactory, SiteFactory, UserFactory
from tests.registry.conftest import fields_of
from tests.registry.enrolment import KEYS, enrol, make_key, order


def test_a_key_is_shown_once_and_stored_as_a_digest(
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


def test_a_key_that_is_no_longer_valid_says_why(
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
    words = ("no such", "revoked", "expired", "all are enrolled")
    assert all(w in a.json()["detail"] for w, a in zip(words, answers, strict=True))
    assert enrol("", uid="dev-1").status_code == 400
    assert not Device.objects.filter(uid="dev-1").exists()


def test_number_and_expiry_can_be_changed_but_not_below_the_used_count(
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
def test_an_invalid_key_is_refused(
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


def test_only_managers_of_the_tenant_see_and_change_keys(
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
