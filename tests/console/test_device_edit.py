"""Adding and editing a device in the console, and the children of a gateway."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.test import Client

from registry.choices import DeviceKind, Role
from registry.models import Device, LifecycleMove, Product, Tenant
from tests.console.conftest import Fleet
from tests.console.test_registry_pages import limited_manager
from tests.factories import (
    BatchFactory,
    HardwareRevisionFactory,
    ProductFactory,
    SpaceFactory,
)
from tests.fleet.rows import make_presence

pytestmark = pytest.mark.django_db

NEW = "/registry/devices/new/?product=acme/sensor-s1"
SCHEMA = {
    "properties": {
        "battery_rev": {"enum": ["a", "b"]},
        "floor": {"type": "integer", "minimum": 0},
        "outdoor": {"type": "boolean"},
        "door": {"type": "object", "properties": {"width": {"type": "number"}}},
    },
    "required": ["battery_rev"],
}
GIVEN = {
    **{"uid": "new-1", "name": "By the door", "serial": "S-1", "tags": "cold, wet"},
    **{"site": "shanghai-01", "kind": "standalone", "adapter": "http"},
    **{"attributes-battery_rev": "b", "attributes-floor": "3"},
    "attributes-other_attributes": '{"note": "x"}',
}


@pytest.fixture
def product(acme: Fleet) -> Product:
    """The usual product, with a schema of attributes."""
    row = Product.objects.get(slug="sensor-s1")
    row.attributes_schema = SCHEMA
    row.save()
    return row


def form_of(answer: Any) -> dict[str, str]:
    """Return what a browser would send if nobody changed anything."""
    shown = [*answer.context["form"], *answer.context["attributes"]]
    values = {bound.html_name: bound.value() for bound in shown}
    return {name: value for name, value in values.items() if value not in (None, "")}


@pytest.mark.usefixtures("product")
def test_a_manager_adds_a_device_with_the_attributes_of_its_product(
    acme: Fleet,
) -> None:
    client = acme.client(Role.MANAGER)

    chooser = client.get("/registry/devices/new/").content.decode()
    form = client.get(NEW).content.decode()
    made = client.post(NEW, GIVEN)

    assert '<option value="acme/sensor-s1">' in chooser
    assert 'name="attributes-floor"' not in chooser
    assert 'name="attributes-floor"' in form
    assert made["Location"] == "/devices/new-1/"
    device = Device.objects.get(uid="new-1")
    assert device.attributes == {"battery_rev": "b", "floor": 3, "note": "x"}
    assert (device.tags, device.adapter) == (["cold", "wet"], "http")
    assert (device.site.slug, device.serial) == ("shanghai-01", "S-1")
    move = LifecycleMove.objects.get(device=device)
    assert move.actor is not None
    assert "registry/devices/new" in client.get("/fleet/").content.decode()


@pytest.mark.usefixtures("product")
@pytest.mark.parametrize(
    ("given", "field", "expected"),
    [
        ({"uid": "sh-0"}, "uid", "already taken"),
        ({"uid": "a b"}, "uid", "letters, digits"),
        ({"site": "nowhere"}, "site", "no such site"),
        ({"space": "elsewhere"}, "space", "is not at the site"),
        ({"gateway": "sh-0"}, "gateway", "Only a child"),
        ({"kind": "child"}, "gateway", "needs a gateway"),
        ({"tags": "a!"}, "tags", "letters, digits"),
        ({"attributes-battery_rev": ""}, "battery_rev", "required"),
        ({"attributes-floor": "-1"}, "floor", "0"),
        ({"attributes-door": '{"width": "x"}'}, "door", "width: 'x' is not"),
        ({"attributes-door": '{"width": NaN}'}, "door", "NaN"),
        ({"attributes-other_attributes": "[]"}, "other_attributes", "an object"),
        ({"attributes-other_attributes": '{"floor": 1}'}, "other_attributes", "own"),
    ],
)
def test_a_wrong_device_is_refused_at_the_field_that_is_wrong(
    acme: Fleet, given: dict[str, str], field: str, expected: str
) -> None:
    SpaceFactory(tenant=acme.tenant, slug="elsewhere")

    answer = acme.client(Role.MANAGER).post(NEW, GIVEN | given)

    assert answer.status_code == 422
    wrong = {**answer.context["form"].errors, **answer.context["attributes"].errors}
    assert expected in unescape(" ".join(wrong[field]))
    assert "By the door" in answer.content.decode()
    assert not Device.objects.filter(uid="new-1").exists()


@pytest.mark.usefixtures("product")
def test_an_edit_changes_what_was_touched_and_keeps_the_rest(acme: Fleet) -> None:
    device = acme.devices[0]
    device.attributes = {"battery_rev": "a", "floor": 1, "legacy": [1]}
    device.save()
    client = acme.client(Role.MANAGER)
    path = f"/devices/{device.uid}/edit/"
    form = form_of(client.get(path))

    client.post(path, form)
    device.refresh_from_db()
    untouched = device.attributes
    changed = client.post(
        path, form | {"name": "Here", "attributes-floor": "", "serial": "S-9"}
    )

    assert untouched == {"battery_rev": "a", "floor": 1, "legacy": [1]}
    assert changed["Location"] == f"/devices/{device.uid}/"
    device.refresh_from_db()
    assert device.attributes == {"battery_rev": "a", "legacy": [1]}
    assert (device.name, device.serial) == ("Here", "S-9")
    assert (device.uid, device.site.slug) == ("sh-0", "shanghai-01")


def test_another_product_brings_its_own_attributes(
    acme: Fleet, product: Product
) -> None:
    device = acme.devices[0]
    other: Product = ProductFactory(
        tenant=acme.tenant,
        slug="sensor-s2",
        attributes_schema={
            "properties": {"colour": {"type": "string"}},
            "required": ["colour"],
            "additionalProperties": False,
        },
    )
    revision = HardwareRevisionFactory(tenant=acme.tenant, product=other)
    batch = BatchFactory(tenant=acme.tenant, hardware_revision=revision)
    client = acme.client(Role.MANAGER)
    path = f"/devices/{device.uid}/edit/?product=acme/sensor-s2"
    form = form_of(client.get(path)) | {"batch": batch.slug}

    refused = client.post(path, form)
    client.post(path, form | {"attributes-colour": "red"})

    assert "colour" in refused.context["attributes"].errors
    device.refresh_from_db()
    assert (device.product, device.batch) == (other, batch)
    assert device.hardware_revision == revision
    assert device.attributes == {"colour": "red"}


def test_a_gateway_shows_its_children_and_leads_to_a_new_one(acme: Fleet) -> None:
    gateway = acme.add("gw-1", kind=DeviceKind.GATEWAY)
    child = acme.add("kid-1", kind=DeviceKind.CHILD, gateway=gateway)
    acme.add("kid-2", kind=DeviceKind.CHILD, gateway=gateway)
    make_presence(child, connectivity="online")
    client = acme.client(Role.MANAGER)

    page = client.get("/devices/gw-1/")
    new = client.get(page.context["new_child_url"])
    viewed = acme.client(Role.VIEWER).get("/devices/gw-1/").content.decode()
    alone = client.get("/devices/sh-0/").content.decode()

    shown = [(row["uid"], row["connectivity"]) for row in page.context["children"]]
    assert shown == [("kid-1", "online"), ("kid-2", "offline")]
    assert 'id="children"' in viewed
    assert "Add child" not in viewed
    assert 'id="children"' not in alone
    made = client.post(page.context["new_child_url"], form_of(new) | {"uid": "kid-3"})
    assert made.status_code == 302
    kid = Device.objects.get(uid="kid-3")
    assert (kid.gateway, kid.site, kid.kind) == (gateway, gateway.site, "child")


def test_only_who_manages_the_place_of_a_device_may_add_or_edit_it(
    acme: Fleet, globex: Fleet
) -> None:
    operator = acme.client(Role.OPERATOR)
    limited = limited_manager(acme, site=acme.devices[0].site)
    form = GIVEN | {"attributes-other_attributes": ""}

    assert operator.get("/devices/sh-0/edit/").status_code == 403
    assert operator.post(NEW, form).status_code == 403
    for path in ("/devices/sh-0/", "/fleet/"):
        text = operator.get(path).content.decode()
        assert "/edit/" not in text
        assert "registry/devices/new" not in text
    assert limited.get("/devices/mu-0/edit/").status_code == 404
    assert limited.get("/devices/gx-0/edit/").status_code == 404
    outside = limited.post(NEW, form | {"site": "munich-07"})
    assert "site" in outside.context["form"].errors
    assert limited.post(NEW, form).status_code == 302
    theirs = limited.get("/registry/devices/new/?product=globex/product-1")
    assert theirs.context["form"] is None


def test_the_form_of_a_device_needs_few_queries(
    acme: Fleet, django_assert_max_num_queries: Any
) -> None:
    client: Client = acme.client(Role.MANAGER)
    tenant: Tenant = acme.tenant
    SpaceFactory.create_batch(5, tenant=tenant)
    client.get("/devices/sh-0/edit/")

    with django_assert_max_num_queries(13):
        answer = client.get("/devices/sh-0/edit/")

    assert answer.status_code == 200
