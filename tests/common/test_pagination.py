"""Lists with an opaque cursor: complete and without repeats while others write."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest
from rest_framework.test import APIClient

from registry.models import Tenant
from tests.factories import DeviceFactory, ProductFactory, SiteFactory

URL = "/api/v1/devices/"


def fill(acme: Tenant, count: int) -> list[str]:
    site, product = SiteFactory(tenant=acme), ProductFactory(tenant=acme)
    rows = DeviceFactory.create_batch(count, tenant=acme, site=site, product=product)
    return [row.uid for row in rows]


def test_a_walk_sees_every_device_once_while_others_are_added(
    manager: APIClient, acme: Tenant
) -> None:
    before = fill(acme, 25)
    seen: list[str] = []
    url = f"{URL}?limit=4"

    while url:
        body = manager.get(url).json()
        assert set(body) == {"next", "previous", "results"}
        seen += [row["uid"] for row in body["results"]]
        if len(seen) < 20:
            fill(acme, 1)
        url = body["next"]

    assert len(seen) == len(set(seen))
    assert set(before) <= set(seen)


def test_the_previous_page_is_the_same_as_before(
    manager: APIClient, acme: Tenant
) -> None:
    fill(acme, 6)
    first = manager.get(f"{URL}?limit=3").json()
    second = manager.get(first["next"]).json()

    assert first["previous"] is None
    assert second["next"] is None
    assert second["previous"].startswith("http://testserver/api/v1/devices/")
    assert manager.get(second["previous"]).json()["results"] == first["results"]


def test_filters_apply_to_all_pages(manager: APIClient, acme: Tenant) -> None:
    fill(acme, 3)
    gateways = DeviceFactory.create_batch(3, tenant=acme, kind="gateway")

    first = manager.get(f"{URL}?limit=2&kind=gateway").json()
    second = manager.get(first["next"]).json()

    uids = [row["uid"] for row in first["results"] + second["results"]]
    assert uids == [row.uid for row in gateways]


@pytest.mark.parametrize("limit", ["0", "-1", "abc", "1001", "", "1.5", "9" * 30, "²"])
def test_an_invalid_limit_is_400_and_named(manager: APIClient, limit: str) -> None:
    answer = manager.get(URL, {"limit": limit})

    assert answer.status_code == 400
    assert [row["field"] for row in answer.json()["errors"]] == ["limit"]


def test_the_largest_limit_is_1000(manager: APIClient) -> None:
    assert manager.get(f"{URL}?limit=1000").status_code == 200


def cursor(text: str) -> str:
    return b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "é",
        "\0",
        "AAAA",
        cursor("p=1") + "\0",
        cursor("p=abc"),
        cursor("p=%00"),
        cursor("p=1' OR 1=1"),
        cursor("o=abc"),
        cursor("r=abc&p="),
    ],
)
def test_an_invalid_cursor_is_400_and_named(
    manager: APIClient, acme: Tenant, text: str
) -> None:
    fill(acme, 2)

    answer: Any = manager.get(URL, {"cursor": text})

    assert answer.status_code == 400
    assert [row["field"] for row in answer.json()["errors"]] == ["cursor"]


def test_a_cursor_far_beyond_the_end_is_an_empty_page(
    manager: APIClient, acme: Tenant
) -> None:
    fill(acme, 2)

    answer = manager.get(URL, {"cursor": cursor("p=99999999999999999999999")})

    assert answer.status_code == 200
    assert answer.json()["results"] == []
