"""The matrix of firmware and products: each number is the total of its search."""

from __future__ import annotations

import pytest

from fleet.services.indexing import Indexer
from registry.choices import Lifecycle, Role
from tests.factories import DeviceFactory, ProductFactory
from tests.fleet.rows import make_twin
from tests.fleet.test_api import Caller

pytestmark = pytest.mark.django_db


def test_each_number_is_the_total_of_its_query(indexer: Indexer) -> None:
    first = DeviceFactory.create(product__slug="sensor")
    tenant, sensor = first.tenant, first.product
    hub = ProductFactory.create(tenant=tenant, slug="hub-x")
    make_twin(first, firmware="1.9.0")
    for product, version in ((sensor, "1.10.0"), (sensor, "1.10.0"), (hub, "1.9.0")):
        make_twin(
            DeviceFactory.create(tenant=tenant, product=product), firmware=version
        )
    DeviceFactory.create(tenant=tenant, product=hub)
    old = DeviceFactory.create(tenant=tenant, product=hub, lifecycle=Lifecycle.RETIRED)
    make_twin(old, firmware="0.1")
    make_twin(DeviceFactory.create(), firmware="7.7")
    indexer.drain()
    viewer = Caller(Role.VIEWER, first)

    found = viewer.get("fleet/firmware/")

    assert found["versions"] == ["1.10.0", "1.9.0", None]
    assert found["products"] == ["sensor", "hub-x"]
    counts = {
        (row["product"], row["firmware"]): row["count"] for row in found["counts"]
    }
    assert counts == {
        ("sensor", "1.10.0"): 2,
        ("sensor", "1.9.0"): 1,
        ("hub-x", "1.9.0"): 1,
        ("hub-x", None): 1,
    }
    for row in found["counts"]:
        assert viewer.get("fleet/search/", q=row["query"])["total"] == row["count"]
