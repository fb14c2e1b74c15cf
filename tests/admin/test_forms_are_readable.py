"""What a person sees first in the admin: order, documents, dates, refusals."""

from __future__ import annotations

import re
from html import unescape

import pytest
from django.urls import reverse

from registry.models import Product
from tests.admin.pages import url_of
from tests.admin.people import boss
from tests.factories import DeviceFactory, ProductFactory

pytestmark = pytest.mark.django_db

SCHEMA = {"properties": {"größe": {"type": "string", "searchable": True}}}


def test_the_index_begins_with_our_apps() -> None:
    text = boss().get(reverse("admin:index")).content.decode()

    apps = re.findall(r'class="app-(\w+) module', text)
    assert apps[:4] == ["registry", "state", "commands", "fleet"]
    assert len(apps) > 4


def test_a_device_begins_with_its_uid_and_tenant() -> None:
    device = DeviceFactory.create()

    text = boss().get(url_of(type(device), "change", device.pk)).content.decode()

    rows = re.findall(r'class="form-row field-(\w+)', text)
    assert rows[:3] == ["uid", "tenant", "name"]
    assert rows[-3:] == ["public_id", "created_at", "updated_at"]
    assert re.search(r"readonly\">\d{4}-\d\d-\d\d \d\d:\d\d:\d\d<", text)
    assert "Times: UTC" in text


def test_documents_of_a_product_are_read_over_several_lines() -> None:
    product = ProductFactory.create(attributes_schema=SCHEMA)

    text = boss().get(url_of(Product, "change", product.pk)).content.decode()

    assert '"größe": {\n      "type": "string"' in unescape(text)
    assert "A JSON Schema of the attributes" in text


def test_a_refusal_stands_beside_its_field_and_the_input_is_kept() -> None:
    product = ProductFactory.create(attributes_schema={})
    DeviceFactory.create(product=product, tenant=product.tenant)
    form = {
        "slug": product.slug,
        "name": "Renamed",
        "kind": product.kind,
        "attributes_schema": '{"required": ["serial"]}',
        "metrics": "[1]",
        "reported_keys": "[]",
        "heartbeat_seconds": "60",
    }
    client, page = boss(), url_of(Product, "change", product.pk)

    wrong = client.post(page, form)
    unfit = client.post(page, form | {"metrics": "[]"})

    assert set(wrong.context["adminform"].form.errors) == {"metrics"}
    assert set(unfit.context["adminform"].form.errors) == {"attributes_schema"}
    assert 'value="Renamed"' in unfit.content.decode()
    assert Product.objects.get(pk=product.pk).name != "Renamed"
