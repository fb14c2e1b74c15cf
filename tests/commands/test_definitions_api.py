"""REST of command definitions: the built-in ones, and a tenant's own."""

from __future__ import annotations

from typing import Any

import pytest
from rest_framework.test import APIClient

from commands.definitions import DEFINITIONS
from commands.models import CommandDefinition
from registry.models import Tenant
from tests.commands.test_command_api import fields_of
from tests.factories import (
    MembershipFactory,
    ProductFactory,
    TenantFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db

DEFINITIONS_URL = "/api/v1/command-definitions/"
POSITION = {"type": "integer", "minimum": 0, "maximum": 100}
OPEN_VALVE: dict[str, Any] = {
    "name": "open_valve",
    "class": "operation",
    "description": "Open the valve so far.",
    "params_schema": {
        "type": "object",
        "properties": {"position": POSITION},
        "required": ["position"],
        "additionalProperties": False,
    },
    "policy": {"attempts": 2},
    "repeatable": True,
    "danger": "type_count",
    "approval": False,
    "expectation": {"valve": {"position": "{{ params.position }}"}},
    "reactions": {"E42": "retry_later", "stuck": "escalate"},
}


def client_in(tenant: Tenant, role: str = "manager") -> APIClient:
    client = APIClient()
    client.force_authenticate(MembershipFactory(tenant=tenant, role=role).user)
    return client


@pytest.fixture
def tenant() -> Tenant:
    made: Tenant = TenantFactory.create()
    return made


@pytest.fixture
def api(tenant: Tenant) -> APIClient:
    return client_in(tenant)


def post(api: APIClient, **changes: Any) -> Any:
    return api.post(DEFINITIONS_URL, OPEN_VALVE | changes, format="json")


def patch(api: APIClient, which: str, query: str = "", **changes: Any) -> Any:
    return api.patch(f"{DEFINITIONS_URL}{which}/{query}", changes, format="json")


def test_a_definition_is_made_shown_changed_and_deleted(api: APIClient) -> None:
    made = post(api)
    shown = api.get(f"{DEFINITIONS_URL}open_valve/")
    changed = patch(api, "open_valve", danger="none", policy={"attempts": 7})
    deleted = api.delete(f"{DEFINITIONS_URL}open_valve/")
    gone = api.get(f"{DEFINITIONS_URL}open_valve/")

    assert made.status_code == 201
    body = made.json()
    given = {key: value for key, value in OPEN_VALVE.items() if key != "policy"}
    assert given.items() <= body.items()
    assert (body["product"], body["built_in"]) == (None, False)
    # What the request did not say of the policy is the class's.
    assert (body["policy"]["attempts"], body["policy"]["backoff_seconds"]) == (2, 30)
    assert shown.json() == body
    assert changed.json()["policy"]["attempts"] == 7
    assert changed.json()["danger"] == "none"
    assert (deleted.status_code, gone.status_code) == (204, 404)


def test_the_list_has_the_built_in_ones_first_and_pages(
    api: APIClient, tenant: Tenant
) -> None:
    post(api, name="b"), post(api, name="a")

    names, url = [], f"{DEFINITIONS_URL}?limit=3"
    while url:
        page = api.get(url).json()
        names += [row["name"] for row in page["results"]]
        url = page["next"]

    assert names == [*DEFINITIONS, "a", "b"]
    assert api.get(f"{DEFINITIONS_URL}?limit=0").status_code == 400


@pytest.mark.parametrize("name", list(DEFINITIONS))
def test_a_built_in_definition_is_shown_and_never_changed(
    api: APIClient, tenant: Tenant, name: str
) -> None:
    shown = api.get(f"{DEFINITIONS_URL}{name}/").json()
    answers = [
        post(api, name=name),
        patch(api, name, danger="confirm"),
        api.delete(f"{DEFINITIONS_URL}{name}/"),
    ]
    viewer = client_in(tenant, "viewer").delete(f"{DEFINITIONS_URL}{name}/")

    assert (shown["built_in"], shown["tenant"], shown["danger"]) == (True, None, "none")
    assert [answer.status_code for answer in answers] == [409, 409, 409]
    assert fields_of(answers[0]) == ["name"]
    assert all("built" in answer.json()["detail"] for answer in answers)
    assert viewer.status_code == 403


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "open valve"}, "name"),
        ({"class": "job2"}, "class"),
        ({"params_schema": {"type": "nonsense"}}, "params_schema"),
        ({"params_schema": {"type": "array"}}, "params_schema"),
        ({"params_schema": {"properties": {"a": {"pattern": "("}}}}, "params_schema"),
        ({"params_schema": {"$ref": "#/$defs/missing"}}, "params_schema"),
        ({"params_schema": {"$ref": "#"}}, "params_schema"),
        ({"params_schema": {"$ref": "https://example.com/x"}}, "params_schema"),
        ({"params_schema": [1]}, "params_schema"),
        ({"policy": {"attempts": 0}}, "policy.attempts"),
        ({"policy": {"on_failure": {"no_ack": "x"}}}, "policy.on_failure.no_ack"),
        ({"danger": "high"}, "danger"),
        ({"reactions": {"E1": "panic"}}, "reactions.E1"),
        ({"reactions": {"": "none"}}, "reactions"),
        ({"expectation": []}, "expectation"),
        ({"expectation": {}}, "expectation"),
        ({"expectation": {"valve": "{{ params.size }}"}}, "expectation"),
        ({"expectation": {"valve": "{{ device.uid }}"}}, "expectation"),
        ({"class": "config"}, "expectation"),
        ({"product": "nonsense"}, "product"),
        ({"approvals": True}, "approvals"),
    ],
)
def test_a_wrong_definition_is_refused_with_the_name_of_its_field(
    api: APIClient, change: dict[str, Any], field: str
) -> None:
    made = post(api, **change)
    post(api)
    changed = patch(api, "open_valve", **change)

    assert (made.status_code, fields_of(made)) == (400, [field])
    assert (changed.status_code, fields_of(changed)) == (400, [field])
    assert CommandDefinition.objects.get().name == "open_valve"


def test_a_name_is_taken_once_for_all_products_and_once_for_each(
    api: APIClient, tenant: Tenant
) -> None:
    product = ProductFactory.create(tenant=tenant)
    answers = [
        post(api),
        post(api),
        post(api, product=product.slug, danger="none"),
        post(api, product=product.slug),
    ]
    url = f"{DEFINITIONS_URL}open_valve/"

    assert [answer.status_code for answer in answers] == [201, 409, 201, 409]
    assert fields_of(answers[1]) == fields_of(answers[3]) == ["name"]
    assert api.get(url).json()["product"] is None
    assert api.get(f"{url}?product={product.slug}").json()["danger"] == "none"
    assert api.get(f"{url}?product=other").status_code == 404
    api.delete(url)
    assert api.get(url).json()["product"] == product.slug


def test_a_name_of_two_products_or_two_tenants_needs_one_named(tenant: Tenant) -> None:
    other = TenantFactory.create()
    user = UserFactory.create()
    api = APIClient()
    api.force_authenticate(user)
    for each in (tenant, other):
        MembershipFactory(user=user, tenant=each, role="manager")
    products = ProductFactory.create_batch(2, tenant=tenant)
    for product in products:
        post(api, tenant=tenant.slug, product=product.slug)
    url = f"{DEFINITIONS_URL}open_valve/"

    several_products = api.get(url)
    post(api, tenant=other.slug)
    several_tenants = api.get(url)

    assert fields_of(several_products) == ["product"]
    assert fields_of(several_tenants) == ["tenant"]
    assert api.get(f"{url}?tenant={other.slug}").json()["tenant"] == other.slug
    moved = patch(api, "open_valve", f"?tenant={other.slug}", tenant=tenant.slug)
    assert (moved.status_code, fields_of(moved)) == (400, ["tenant"])


@pytest.mark.parametrize("role", ["viewer", "operator", "approver"])
def test_only_managers_change_definitions(
    api: APIClient, tenant: Tenant, role: str
) -> None:
    post(api)
    member = client_in(tenant, role)

    answers = [
        post(member, name="another"),
        patch(member, "open_valve", danger="none"),
        member.delete(f"{DEFINITIONS_URL}open_valve/"),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert member.get(f"{DEFINITIONS_URL}open_valve/").status_code == 200


def test_another_tenants_definition_is_not_found(api: APIClient) -> None:
    post(api)
    stranger = client_in(TenantFactory.create())

    names = [row["name"] for row in stranger.get(DEFINITIONS_URL).json()["results"]]

    assert names == list(DEFINITIONS)
    assert stranger.get(f"{DEFINITIONS_URL}open_valve/").status_code == 404
    assert patch(stranger, "open_valve", danger="none").status_code == 404
    assert stranger.delete(f"{DEFINITIONS_URL}open_valve/").status_code == 404
