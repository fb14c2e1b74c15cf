"""The pages of command definitions: define, change, delete."""

from __future__ import annotations

import json

import pytest

from commands.models import CommandDefinition
from registry.choices import Role
from registry.models import Membership, MembershipLimit
from tests.console.conftest import Fleet
from tests.console.test_access import own_command

pytestmark = pytest.mark.django_db

SCHEMA = {"type": "object", "properties": {"position": {"type": "integer"}}}
GIVEN = {
    **{"place": "acme/sensor-s1", "name": "turn-valve", "description": "Turn it."},
    **{"command_class": "control", "danger": "confirm", "is_repeatable": "on"},
    "params_schema": json.dumps(SCHEMA),
    "policy": '{"attempts": 1}',
    "expectation": '{"valve": "{{ params.position }}"}',
    "reactions": '{"E42": "retry_later"}',
}


def test_a_command_is_defined_offered_changed_and_deleted(acme: Fleet) -> None:
    client = acme.client(Role.MANAGER)

    assert client.post("/command-definitions/new/", GIVEN).status_code == 302
    row = CommandDefinition.objects.get()
    assert row.product == acme.devices[0].product
    assert (row.command_class, row.is_repeatable) == ("control", True)
    assert (row.params_schema, row.policy) == (SCHEMA, {"attempts": 1})
    assert row.reactions == {"E42": "retry_later"}
    assert "turn-valve" in client.get("/command-definitions/").content.decode()
    assert "turn-valve" in client.get("/devices/sh-1/").content.decode()

    one = f"/command-definitions/{row.public_id}/"
    shown = client.get(one).content.decode()
    assert "&quot;position&quot;: {\n" in shown
    assert "all products" not in shown
    changed = {"description": "Turn it now.", "expectation": "", "policy": ""}
    assert client.post(one, GIVEN | changed).status_code == 302
    row.refresh_from_db()
    assert (row.description, row.expectation) == ("Turn it now.", None)
    assert (row.policy, row.product) == ({}, acme.devices[0].product)

    assert client.post(f"{one}delete/").status_code == 302
    assert not CommandDefinition.objects.exists()
    assert client.get(one).status_code == 404


def test_a_command_for_all_products_lists_beside_the_built_in_ones(acme: Fleet) -> None:
    client = acme.client(Role.MANAGER)

    client.post("/command-definitions/new/", GIVEN | {"place": "acme/"})

    assert CommandDefinition.objects.get().product is None
    text = client.get("/command-definitions/").content.decode()
    assert "all products" in text
    assert "collect_logs" in text


@pytest.mark.parametrize(
    ("wrong", "field", "message"),
    [
        ({"params_schema": "{"}, "params_schema", "not valid JSON"),
        ({"params_schema": '{"type": "text"}'}, "params_schema", ""),
        ({"params_schema": '{"$ref": "#/x"}'}, "params_schema", "no part #/x"),
        ({"policy": '{"attempts": 0}'}, "policy", "attempts: "),
        ({"policy": "[]"}, "policy", ""),
        ({"reactions": '{"E1": "sing"}'}, "reactions", "E1: "),
        ({"expectation": '{"v": "{{ params.x }}"}'}, "expectation", "no property"),
        ({"name": "two words"}, "name", "letters, digits"),
        ({"name": "reboot"}, "name", "built-in"),
        ({"name": "turn", "place": "acme/"}, "name", "is defined for all products"),
        ({"place": "globex/"}, "place", "valid choice"),
        ({"command_class": "x"}, "command_class", "valid choice"),
    ],
)
def test_a_wrong_definition_is_refused_beside_its_field(
    acme: Fleet, globex: Fleet, wrong: dict[str, str], field: str, message: str
) -> None:
    own_command(acme.tenant)

    answer = acme.client(Role.MANAGER).post("/command-definitions/new/", GIVEN | wrong)

    text = answer.content.decode()
    assert answer.status_code == 422
    assert f'id="id_{field}-error"' in text
    assert message in text.split(f'id="id_{field}-error"')[1].split("</p>")[0]
    # What was written stays in its box.
    assert "E42" in text or "reactions" in wrong
    assert CommandDefinition.objects.count() == 1


def test_a_manager_with_a_site_limit_reads_definitions_and_changes_none(
    acme: Fleet,
) -> None:
    one = f"/command-definitions/{own_command(acme.tenant).public_id}/"
    client = acme.client(Role.MANAGER)
    MembershipLimit.objects.create(
        membership=Membership.objects.get(),
        tenant=acme.tenant,
        site=acme.devices[0].site,
    )

    assert client.get(one).status_code == 200
    assert client.post(one, GIVEN).status_code == 403
    assert client.post(f"{one}delete/").status_code == 403
    assert client.get("/command-definitions/new/").status_code == 403
