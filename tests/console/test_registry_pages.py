"""The registry's pages: list, add, edit and delete objects of every kind."""

from __future__ import annotations

from html import unescape
from typing import Any

import pytest
from django.apps import apps
from django.test import Client

from console.views.registry_nouns import NOUNS, Noun
from registry.choices import Role
from registry.models import (
    Membership,
    MembershipLimit,
    Product,
    Project,
    Site,
    Space,
    Tenant,
)
from registry.services.constraint_errors import TAKEN
from tests.console.conftest import Fleet
from tests.factories import (
    HardwareRevisionFactory,
    MembershipFactory,
    ProductFactory,
    ProjectFactory,
    SiteFactory,
    SpaceFactory,
)

pytestmark = pytest.mark.django_db

# By kind: what a person types for a new object, beside its slug and name.
FIELDS: dict[str, dict[str, str]] = {
    "sites": {"region": "Europe", "country": "DE", "time_zone": "Europe/Berlin"},
    "spaces": {"site": "shanghai-01", "kind": "room"},
    "projects": {},
    "products": {
        **{"kind": "gateway", "heartbeat_seconds": "30", "takes_commands": "on"},
        **{"config_schema": '{"type": "object"}'},
        **{"attributes_schema": '{"type": "object"}', "reported_keys": "a.b, c"},
        "metrics": '[{"name": "temperature", "unit": "°C"}]',
    },
    "hardware-revisions": {"product": "sensor-s1", "notes": "new antenna"},
    "batches": {"hardware_revision": "rev-b", "made_at": "2026-01-02T03:04:05"},
}
MODELS = {"hardware-revisions": "hardwarerevision", "batches": "batch"}
SLUGGED = [noun for noun in NOUNS if noun.path in FIELDS]
by_noun = pytest.mark.parametrize("noun", SLUGGED, ids=lambda noun: noun.path)


def rows_of(noun: Noun) -> Any:
    name = MODELS.get(noun.path, noun.path.removesuffix("s"))
    return apps.get_model("registry", name)._default_manager


def add(client: Client, noun: Noun, **given: str) -> Any:
    form = {"slug": "new-1", "name": "New one"} | FIELDS[noun.path] | given
    return client.post(f"/registry/{noun.path}/new/", form)


def limited_manager(fleet: Fleet, **where: Any) -> Client:
    """A browser of a manager who is limited to a site or a project."""
    member = MembershipFactory.create(tenant=fleet.tenant, role=Role.MANAGER)
    MembershipLimit.objects.create(membership=member, tenant=fleet.tenant, **where)
    client = Client()
    client.force_login(member.user)
    return client


@pytest.fixture(autouse=True)
def _revision(acme: Fleet) -> None:
    product = acme.devices[0].product
    HardwareRevisionFactory(tenant=acme.tenant, product=product, slug="rev-b")


@by_noun
def test_a_manager_adds_edits_and_deletes_an_object(acme: Fleet, noun: Noun) -> None:
    client = acme.client(Role.MANAGER)

    made = add(client, noun)
    row = rows_of(noun).get(slug="new-1")
    listed = client.get(noun.list_url).content.decode()
    shown = client.get(noun.url_of(row))
    form = {bound.name: bound.value() or "" for bound in shown.context["form"]}
    client.post(noun.url_of(row), form | {"name": "Another name"})
    changed = rows_of(noun).get(slug="new-1")
    gone = client.post(noun.remove_url_of(row), follow=True)

    assert made.status_code == 302
    assert row.tenant == acme.tenant
    assert noun.url_of(row) in listed
    assert changed.name == "Another name"
    assert _values(changed) == _values(row) | {"name": "Another name"}
    assert "new-1 is deleted." in unescape(gone.content.decode())
    assert not rows_of(noun).filter(slug="new-1").exists()


def _values(row: Any) -> dict[str, Any]:
    return {field.name: getattr(row, field.attname) for field in row._meta.fields}


@by_noun
def test_a_viewer_reads_every_kind_and_is_offered_no_action(
    acme: Fleet, noun: Noun
) -> None:
    add(acme.client(Role.MANAGER), noun)
    row = rows_of(noun).get(slug="new-1")
    client = acme.client(Role.VIEWER)

    listed, shown = client.get(noun.list_url), client.get(noun.url_of(row))
    refused = [
        client.post(url)
        for url in (noun.new_url, noun.url_of(row), noun.remove_url_of(row))
    ]

    for page in (listed, shown):
        text = page.content.decode().split("<main")[1]
        assert "new-1" in text
        assert 'method="post"' not in text
        assert noun.new_url not in text
    assert {answer.status_code for answer in refused} == {403}
    assert "/registry/" not in client.get("/alarms/").content.decode()
    assert rows_of(noun).filter(slug="new-1").exists()


@by_noun
def test_a_refused_object_says_why_at_its_field_and_keeps_what_was_typed(
    acme: Fleet, noun: Noun
) -> None:
    client = acme.client(Role.MANAGER)
    add(client, noun)

    taken = add(client, noun, name="typed again")
    malformed = add(client, noun, slug="No Slug")

    assert (taken.status_code, malformed.status_code) == (422, 422)
    assert taken.context["form"].errors == {"slug": [TAKEN]}
    assert "typed again" in taken.content.decode()
    assert 'id="id_slug-error"' in malformed.content.decode()
    assert rows_of(noun).filter(slug="new-1").count() == 1


@pytest.mark.parametrize(
    ("path", "given", "field", "expected"),
    [
        ("sites", {"country": "de"}, "country", "two capital letters"),
        ("sites", {"time_zone": "Nowhere"}, "time_zone", "IANA"),
        ("sites", {"project": "none"}, "project", "no such project"),
        ("sites", {"latitude": "91"}, "latitude", "90"),
        ("spaces", {"site": "none"}, "site", "no such site"),
        ("spaces", {"parent": "elsewhere"}, "parent", "no such space at the site"),
        ("products", {"attributes_schema": "{"}, "attributes_schema", "not valid"),
        ("products", {"attributes_schema": "[]"}, "attributes_schema", "an object"),
        ("products", {"attributes_schema": '{"type": 1}'}, "attributes_schema", "JSON"),
        ("products", {"config_schema": '{"type": 1}'}, "config_schema", "JSON"),
        ("products", {"metrics": '[{"name": NaN}]'}, "metrics", "NaN"),
        ("products", {"metrics": '[{"name": "\\u0000"}]'}, "metrics", "NUL"),
        ("products", {"metrics": '[{"label": "x"}]'}, "metrics", "only name"),
        ("products", {"reported_keys": "a..b"}, "reported_keys", "dotted"),
        ("products", {"heartbeat_seconds": "0"}, "heartbeat_seconds", "1"),
        ("batches", {"hardware_revision": "x"}, "hardware_revision", "no such"),
    ],
)
def test_wrong_values_are_named_at_their_fields(
    acme: Fleet, path: str, given: dict[str, str], field: str, expected: str
) -> None:
    SpaceFactory(tenant=acme.tenant, slug="elsewhere")
    (noun,) = (noun for noun in NOUNS if noun.path == path)

    answer = add(acme.client(Role.MANAGER), noun, **given)

    assert answer.status_code == 422
    assert expected in unescape(answer.context["form"].errors[field][0])
    assert not rows_of(noun).filter(slug="new-1").exists()


def test_an_object_in_use_is_not_deleted_and_the_list_says_what_uses_it(
    acme: Fleet,
) -> None:
    site = Site.objects.get(slug="shanghai-01")

    answer = acme.client(Role.MANAGER).post(f"/registry/sites/{site.public_id}/delete/")

    assert answer.status_code == 409
    assert "still has devices" in unescape(answer.content.decode())


def test_an_edit_saves_only_what_the_person_changed(acme: Fleet) -> None:
    site = Site.objects.get(slug="shanghai-01")
    client = acme.client(Role.MANAGER)
    path = f"/registry/sites/{site.public_id}/"
    shown = client.get(path).context["form"]
    form = {bound.name: bound.value() or "" for bound in shown}

    client.post(path, form | {"region": "Jiangsu", "latitude": "31.2"})

    site.refresh_from_db()
    assert (site.region, site.latitude, site.longitude) == ("Jiangsu", 31.2, None)
    assert (site.time_zone, site.country) == ("Asia/Shanghai", "CN")


def test_a_schema_that_devices_do_not_match_needs_a_second_word(acme: Fleet) -> None:
    product = Product.objects.get(slug="sensor-s1")
    client = acme.client(Role.MANAGER)
    path = f"/registry/products/{product.public_id}/"
    form = {
        **{"slug": "sensor-s1", "name": product.name, "kind": product.kind},
        **{"heartbeat_seconds": "60", "takes_commands": "on"},
        "attributes_schema": '{"required": ["colour"]}',
        "metrics": '[{"name": "temperature", "unit": "°C", "dead_band": 0.5}]',
    }

    refused = client.post(path, form)
    forced = client.post(path, form | {"force": "on"})

    assert refused.status_code == 409
    assert "do not match" in refused.context["form"].errors["attributes_schema"][0]
    assert forced.status_code == 302
    product.refresh_from_db()
    assert product.attributes_schema == {"required": ["colour"]}


def test_a_manager_of_one_site_changes_it_and_nothing_of_the_whole_tenant(
    acme: Fleet,
) -> None:
    mine, other = acme.devices[0].site, Site.objects.get(slug="munich-07")
    client = limited_manager(acme, site=mine)
    product = acme.devices[0].product
    space = {"slug": "new-1", "name": "", "kind": ""}

    listed = client.get("/registry/sites/").content.decode()
    inside = client.post("/registry/spaces/new/", space | {"site": mine.slug})
    outside = client.post(
        "/registry/spaces/new/", space | {"slug": "new-2", "site": other.slug}
    )
    new_site = client.post(
        "/registry/sites/new/", {"slug": "new-3", "time_zone": "UTC"}
    )

    assert "munich-07" not in listed
    assert client.get(f"/registry/sites/{other.public_id}/").status_code == 404
    assert inside.status_code == 302
    assert "site" in outside.context["form"].errors
    assert "project" in new_site.context["form"].errors
    assert [row.slug for row in Space.objects.all()] == ["new-1"]
    assert client.get(f"/registry/products/{product.public_id}/").status_code == 200
    for path in (f"products/{product.public_id}", "products/new", "projects/new"):
        assert client.post(f"/registry/{path}/", {"slug": "x"}).status_code == 403


def test_a_manager_of_several_tenants_chooses_one_and_names_its_objects(
    acme: Fleet, globex: Fleet
) -> None:
    user = acme.person(Role.MANAGER)
    Membership.objects.create(user=user, tenant=globex.tenant, role=Role.MANAGER)
    ProjectFactory(tenant=globex.tenant, slug="theirs")
    client = Client()
    client.force_login(user)
    form = {"slug": "new-1", "time_zone": "UTC", "project": "theirs"}

    shown = client.get("/registry/sites/new/")
    wrong = client.post("/registry/sites/new/", form | {"for_tenant": "acme"})
    unnamed = client.post("/registry/sites/new/", form)
    right = client.post("/registry/sites/new/", form | {"for_tenant": "globex"})

    assert next(iter(shown.context["form"].fields)) == "for_tenant"
    assert "project" in wrong.context["form"].errors
    assert "for_tenant" in unnamed.context["form"].errors
    assert right.status_code == 302
    assert Site.objects.get(slug="new-1").tenant == globex.tenant


def test_a_list_is_narrowed_by_name_and_suggests_names_in_its_form(
    acme: Fleet,
) -> None:
    ProjectFactory(tenant=acme.tenant, slug="cold-chain")
    client = acme.client(Role.MANAGER)

    found = client.get("/registry/sites/", {"q": "MUNICH"})
    nothing = client.get("/registry/sites/", {"q": "nowhere"}).content.decode()
    form = client.get("/registry/sites/new/").content.decode()

    assert [row["cells"][0]["text"] for row in found.context["rows"]] == ["munich-07"]
    assert "Nothing found" in nothing
    assert '<option value="cold-chain">' in form
    assert 'href="/registry/sites/"' in client.get("/alarms/").content.decode()


@pytest.mark.parametrize("path", ["sites/", "spaces/", "batches/", "sites/new/"])
def test_more_objects_need_no_more_queries(
    acme: Fleet, django_assert_max_num_queries: Any, path: str
) -> None:
    tenant: Tenant = acme.tenant
    for number in range(12):
        site = SiteFactory(
            tenant=tenant,
            slug=f"more-{number}",
            project=ProjectFactory(tenant=tenant),
        )
        SpaceFactory(tenant=tenant, site=site)
        ProductFactory(tenant=tenant)
    client = acme.client(Role.MANAGER)
    client.get(f"/registry/{path}")

    with django_assert_max_num_queries(12):
        answer = client.get(f"/registry/{path}")

    assert answer.status_code == 200
    assert Project.objects.count() == 12
