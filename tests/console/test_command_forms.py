"""Forms of a tenant's own commands: fields from the schema, danger, approval."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from commands.definitions import DEFINITIONS
from commands.models import Command, Job
from commands.selectors.definitions import as_definition
from commands.services.definitions import create_definition
from console.forms.params import ParamsForm
from registry.choices import Role
from registry.models import Product, Tenant
from tests.commands.units import Unit, deliver
from tests.console.conftest import Fleet
from tests.console.test_job_wizard import WAVES, hidden, step
from tests.factories import ProductFactory

pytestmark = pytest.mark.django_db

EVERY_KIND: dict[str, Any] = {
    "type": "object",
    "properties": {
        "position": {"type": "integer", "minimum": 0, "maximum": 100, "default": 40},
        "pressure": {"type": "number", "exclusiveMinimum": 0},
        "mode": {"enum": ["eco", "boost", 3], "title": "Way to run"},
        "note": {"type": ["string", "null"], "maxLength": 5, "pattern": "^[a-z]*$"},
        "force": {"type": "boolean"},
        "quiet": {"type": "boolean"},
        "steps": {"type": "array", "items": {"type": "integer"}},
        "params": True,
    },
    "required": ["position", "mode", "force"],
    "additionalProperties": False,
}


def define(tenant: Tenant, **fields: Any) -> None:
    values: dict[str, Any] = {"name": "run", "command_class": "operation"}
    schema = {"type": "object", "additionalProperties": False}
    create_definition(tenant=tenant, **({"params_schema": schema} | values | fields))


def form_of(tenant: Tenant, schema: dict[str, Any], **given: str) -> ParamsForm:
    row = create_definition(
        tenant=tenant, name="run", command_class="operation", params_schema=schema
    )
    return ParamsForm(as_definition(row), {f"run-{k}": v for k, v in given.items()})


def test_a_form_has_a_field_for_each_kind_of_property(acme: Fleet) -> None:
    given = {"position": "7", "pressure": "1.5", "mode": "3", "note": "abc"}
    given |= {"quiet": "false", "steps": "[1, 2]", "params": '{"a": null}'}

    form = form_of(acme.tenant, EVERY_KIND, **given)

    assert form.is_valid(), form.errors
    assert form.params() == {
        "position": 7,
        "pressure": 1.5,
        "mode": 3,
        "note": "abc",
        "force": False,
        "quiet": False,
        "steps": [1, 2],
        "params": {"a": None},
    }
    kinds = {
        name: field.widget.__class__.__name__ for name, field in form.fields.items()
    }
    assert kinds == {
        "position": "NumberInput",
        "pressure": "NumberInput",
        "mode": "Select",
        "note": "TextInput",
        "force": "CheckboxInput",
        "quiet": "Select",
        "steps": "Textarea",
        "params": "Textarea",
    }
    assert list(form.fields)[:3] == ["position", "mode", "force"]
    assert form["position"].initial == 40
    assert form["mode"].label == "Way to run"


def test_what_is_left_empty_is_not_sent(acme: Fleet) -> None:
    form = form_of(acme.tenant, EVERY_KIND, position="7", mode="eco")

    assert form.is_valid(), form.errors
    assert form.params() == {"position": 7, "mode": "eco", "force": False}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"position": "101"}, "position"),
        ({"position": ""}, "position"),
        ({"pressure": "0"}, "pressure"),
        ({"mode": "turbo"}, "mode"),
        ({"note": "ABC"}, "note"),
        ({"note": "abcdef"}, "note"),
        ({"steps": "[1,"}, "steps"),
        ({"steps": '["x"]'}, "steps"),
    ],
)
def test_a_wrong_value_is_refused_at_its_field(
    acme: Fleet, wrong: dict[str, str], field: str
) -> None:
    given = {"position": "7", "mode": "eco"} | wrong

    form = form_of(acme.tenant, EVERY_KIND, **given)

    assert not form.is_valid()
    assert list(form.errors) == [field]


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"$ref": "#/$defs/a", "$defs": {"a": {"properties": {"x": {"minimum": 3}}}}},
        {"required": ["x"], "properties": {"x": {"minimum": 3}}, "anyOf": [{}]},
        {"required": ["x"], "properties": {}},
    ],
)
def test_a_schema_that_fields_cannot_ask_for_is_one_box(
    acme: Fleet, schema: dict[str, Any]
) -> None:
    form = form_of(acme.tenant, schema, params='{"x": 3}')

    assert form.is_valid(), form.errors
    assert (list(form.fields), form.params()) == (["params"], {"x": 3})


def send(acme: Fleet, uid: str, **fields: str) -> Any:
    return acme.client().post(f"/devices/{uid}/commands/", {"command": "run"} | fields)


def test_a_device_page_offers_the_commands_of_its_tenant_and_product(
    acme: Fleet, globex: Fleet
) -> None:
    define(acme.tenant, product=acme.devices[0].product, description="Run it now.")
    define(globex.tenant, name="theirs")
    acme.add("of-another", product=ProductFactory(tenant=acme.tenant))
    client = acme.client()

    own, other = (
        client.get(f"/devices/{uid}/").content.decode()
        for uid in ("sh-1", "of-another")
    )

    assert "Run it now." in own
    assert own.index('value="reboot"') < own.index('value="run"')
    assert 'value="theirs"' not in own
    assert 'value="run"' not in other
    assert send(acme, "of-another").status_code == 422
    assert send(acme, "sh-1").status_code == 302
    assert Command.objects.get().name == "run"


@pytest.mark.parametrize(
    ("danger", "wrong", "right", "said"),
    [
        ("confirm", {}, {"danger-run-confirmed": "on"}, "Confirm that you mean it."),
        (
            "type_count",
            {"danger-run-typed_count": "2"},
            {"danger-run-typed_count": "1"},
            "The command goes to 1 device, not 2.",
        ),
    ],
)
def test_a_dangerous_command_to_a_device_is_confirmed(
    acme: Fleet, danger: str, wrong: dict[str, str], right: dict[str, str], said: str
) -> None:
    define(acme.tenant, danger=danger)

    refused, sent = send(acme, "sh-1", **wrong), send(acme, "sh-1", **right)

    assert (refused.status_code, sent.status_code) == (422, 302)
    assert said in refused.content.decode()
    assert Command.objects.count() == 1


@pytest.mark.parametrize(
    ("danger", "right"),
    [("confirm", {"confirmed": "on"}), ("type_count", {"typed_count": "3"})],
)
def test_a_job_with_a_dangerous_command_is_confirmed(
    acme: Fleet, danger: str, right: dict[str, str]
) -> None:
    define(acme.tenant, danger=danger, product=acme.devices[0].product)
    client = acme.client()
    page = step(client, "confirm", q="site:shanghai-01", command="run", **WAVES)

    refused = step(client, "launch", **hidden(page), name="x")
    sent = step(client, "launch", **hidden(page), name="x", **right)

    assert (refused.status_code, sent.status_code) == (422, 302)
    assert Job.objects.get().command_name == "run"


def test_a_job_of_two_products_with_different_commands_is_refused_with_the_reason(
    acme: Fleet,
) -> None:
    define(acme.tenant, product=acme.devices[0].product)
    define(acme.tenant, is_repeatable=True)
    acme.add("of-another", product=ProductFactory(tenant=acme.tenant))
    acme.settle()

    page = step(acme.client(), "scope", q="*", command="run")

    assert page.status_code == 400
    assert "is not the same command" in page.content.decode()


def test_a_command_and_a_job_are_approved_on_their_pages(acme: Fleet) -> None:
    define(acme.tenant, needs_approval=True)
    author, approver = acme.client(Role.MANAGER), acme.client(Role.APPROVER)
    operator = acme.client()
    author.post("/devices/sh-1/commands/", {"command": "run"})
    page = step(author, "confirm", q="site:shanghai-01", command="run", **WAVES)
    step(author, "launch", **hidden(page), name="x")
    job = Job.objects.get()

    for row in (Command.objects.get(), job):
        url = f"/{'jobs' if row is job else 'commands'}/{row.public_id}/"
        texts = [
            person.get(url).content.decode() for person in (author, operator, approver)
        ]
        assert ["Approve</button>" in text for text in texts] == [False, False, True]
        assert "approval" in texts[0]
        assert operator.post(f"{url}approve/").status_code == 403
        assert author.post(f"{url}approve/").status_code == 409
        assert approver.post(f"{url}approve/").status_code == 302

    assert Command.objects.get().status == "queued"
    job.refresh_from_db()
    assert job.status == "draft"


def test_a_commands_page_says_which_rule_chose_the_next_step(acme: Fleet) -> None:
    define(acme.tenant, reactions={"E42": "escalate"})
    send(acme, "sh-1")
    command = Command.objects.get()
    unit = Unit(acme.devices[1])
    deliver()

    unit.result(command, "failed", code="E42")

    text = acme.client().get(f"/commands/{command.public_id}/").content.decode()
    assert "escalate, by the definition&#x27;s reaction to E42" in text


@pytest.mark.parametrize(
    ("given", "sent"),
    [("30", "30"), ("-0", "0"), ("2.5", "2.5"), ("1e3", "1000"), ("1e300", "1e+300")],
)
def test_a_whole_number_is_sent_without_a_fraction(
    acme: Fleet, given: str, sent: str
) -> None:
    form = form_of(
        acme.tenant,
        {"properties": {"interval": {"type": "number"}}, "additionalProperties": False},
        interval=given,
    )

    assert form.is_valid(), form.errors
    assert json.dumps(form.params()) == f'{{"interval": {sent}}}'


CONFIG_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "interval": {"type": "integer", "minimum": 1},
        "led": {"enum": ["on", "off"]},
    },
    "required": ["interval"],
    "additionalProperties": False,
}


def config_form(**given: str) -> ParamsForm:
    definition = replace(
        DEFINITIONS["set_config"], config_schemas={"s1": CONFIG_SCHEMA}
    )
    return ParamsForm(definition, {f"set_config-{k}": v for k, v in given.items()})


@pytest.mark.parametrize(
    ("given", "patch"),
    [
        ({"interval": "30"}, {"interval": 30}),
        ({"led": "on"}, {"led": "on"}),  # what is required is only asked of a whole
        ({"interval": "30", "params": '{"led": null}'}, {"interval": 30, "led": None}),
        ({"params": '{"interval": 30}'}, {"interval": 30}),
    ],
)
def test_configuration_is_asked_for_by_the_keys_that_the_product_declares(
    given: dict[str, str], patch: dict[str, Any]
) -> None:
    form = config_form(**given)

    assert form.is_valid(), form.errors
    assert form.params() == patch


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"interval": "fast"}, "interval"),
        ({"interval": "-5"}, "interval"),
        ({"params": '{"interval": "fast"}'}, "params"),
        ({"params": '{"interval": null}'}, "params"),
        ({"params": '{"nonsense": 1}'}, "params"),
        ({"interval": "30", "params": '{"interval": 60}'}, "params"),
        ({}, "__all__"),
    ],
)
def test_wrong_configuration_is_refused_beside_its_field(
    given: dict[str, str], field: str
) -> None:
    form = config_form(**given)

    assert not form.is_valid()
    assert list(form.errors) == [field]


def test_the_wizard_and_the_device_page_ask_for_declared_configuration(
    acme: Fleet,
) -> None:
    Product.objects.update(config_schema=CONFIG_SCHEMA)
    client = acme.client()

    page = step(client, "command", q="*", all="1")
    wrong = step(
        client,
        "scope",
        q="*",
        all="1",
        command="set_config",
        **{"set_config-interval": "-5"},
    )
    sent = client.post(
        "/devices/sh-1/commands/",
        {"command": "set_config", "set_config-interval": "45"},
    )

    assert 'name="set_config-interval"' in page.content.decode()
    assert (wrong.status_code, wrong.context["step"]) == (422, "command")
    assert "Ensure this value is greater than or equal to 1" in wrong.content.decode()
    assert sent.status_code in (200, 302)
    assert Command.objects.get().params == {"interval": 45}
