"""JSON that no table can store is refused at its field, as in REST and the console."""

from __future__ import annotations

from typing import Any

import pytest

from registry.models import Device, Product, Tenant
from tests.admin.pages import url_of
from tests.admin.people import boss
from tests.factories import DeviceFactory, TenantFactory

pytestmark = pytest.mark.django_db
NO_TEXT = ['{"a": "\\u0000"}', '{"\\u0000": 1}', '{"a": "\\ud800"}', "[" * 3_000]


@pytest.fixture
def acme() -> Tenant:
    return TenantFactory(slug="acme")


@pytest.mark.parametrize("text", NO_TEXT, ids=range(4))
def test_a_product_cannot_declare_what_no_table_can_store(
    acme: Tenant, text: str
) -> None:
    form: dict[str, Any] = {
        **{"tenant": acme.pk, "slug": "pump", "name": "Pump", "kind": "standalone"},
        **{"heartbeat_seconds": "60", "metrics": "[]", "reported_keys": "[]"},
    }

    for field in ("attributes_schema", "config_schema", "metrics", "reported_keys"):
        answer = boss().post(url_of(Product, "add"), {**form, field: text})
        assert set(answer.context["adminform"].form.errors) == {field}
    assert not Product.objects.exists()


@pytest.mark.parametrize("text", NO_TEXT, ids=range(4))
def test_a_device_cannot_have_an_attribute_that_cannot_be_stored(
    acme: Tenant, text: str
) -> None:
    device = DeviceFactory(tenant=acme)
    form = {
        **{"site": device.site_id, "product": device.product_id, "name": "Pump"},
        **{"kind": "standalone", "adapter": "mqtt", "attributes": text},
    }

    answer = boss().post(url_of(Device, "change", device.pk), form)

    assert set(answer.context["adminform"].form.errors) == {"attributes"}
