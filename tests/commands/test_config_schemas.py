"""A merge patch is checked against the configuration that the product declares."""

from __future__ import annotations

from typing import Any

import pytest

from commands.exceptions import InvalidCommand
from commands.models import Command, Job
from commands.services.definitions import create_definition
from registry.models import Product
from tests.commands.test_command_api import client_of, fields_of
from tests.commands.test_jobs import fleet_of, make_job
from tests.commands.units import Unit, ask, online_unit
from tests.factories import DeviceFactory, ProductFactory

pytestmark = pytest.mark.django_db

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "interval": {"type": "integer", "minimum": 1},
        "led": {"enum": ["on", "off"]},
        "net": {
            "type": "object",
            "properties": {"apn": {"type": "string"}, "port": {"type": "integer"}},
            "required": ["apn"],
            "additionalProperties": False,
        },
    },
    "required": ["interval"],
    "additionalProperties": False,
}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"interval": "fast"}, "params.interval"),
    ({"interval": -5}, "params.interval"),
    ({"interval": {"nonsense": 1}}, "params.interval"),
    ({"nonsense": 1}, "params.nonsense"),
    ({"nonsense": None}, "params.nonsense"),
    ({"interval": None}, "params.interval"),
    ({"net": {"port": "x"}}, "params.net.port"),
    ({"net": {"apn": None}}, "params.net.apn"),
    ({"net": {"nonsense": None}}, "params.net.nonsense"),
]
RIGHT: list[dict[str, Any]] = [
    {"interval": 30},
    {"led": "on"},  # without the required interval: it is only a part
    {"led": None},
    {"net": None},
    {"net": {"port": 8_883}},
    {"net": {"port": None}, "led": None},
]


@pytest.fixture
def unit() -> Unit:
    return online_unit(product__config_schema=SCHEMA)


@pytest.mark.parametrize(("patch", "field"), WRONG)
def test_a_patch_that_the_product_does_not_know_is_refused(
    unit: Unit, patch: dict[str, Any], field: str
) -> None:
    api, uid = client_of(unit.device), unit.device.uid
    body = {"device": uid, "name": "set_config", "params": patch}

    patched = api.patch(f"/api/v1/devices/{uid}/desired/", patch, format="json")
    sent = api.post("/api/v1/commands/", body, format="json")

    assert (patched.status_code, sent.status_code) == (400, 400)
    assert fields_of(patched) == fields_of(sent) == [field]
    assert not Command.objects.exists()
    twin = api.get(f"/api/v1/devices/{uid}/state/").json()["twin"]
    assert (twin["desired"], twin["desired_version"]) == ({}, 0)


@pytest.mark.parametrize("patch", RIGHT)
def test_a_part_of_what_the_product_declares_is_accepted(
    unit: Unit, patch: dict[str, Any]
) -> None:
    url = f"/api/v1/devices/{unit.device.uid}/desired/"

    answer = client_of(unit.device).patch(url, patch, format="json")

    assert answer.status_code == 202
    assert answer.json()["params"] == patch


def test_a_product_without_a_schema_accepts_everything() -> None:
    unit = online_unit()

    assert ask(unit, "set_config", {"interval": "fast", "x": None}).status == "queued"


def test_a_patch_of_a_command_of_ones_own_is_checked_too(unit: Unit) -> None:
    create_definition(
        tenant=unit.device.tenant,
        name="dim",
        command_class="config",
        params_schema={"type": "object"},
    )

    with pytest.raises(InvalidCommand) as refused:
        ask(unit, "dim", {"led": "red"})

    assert refused.value.errors[0]["field"] == "params.led"


@pytest.mark.parametrize(("patch", "field"), WRONG[:4])
def test_a_job_with_a_wrong_patch_is_refused(patch: dict[str, Any], field: str) -> None:
    units = fleet_of(2)
    Product.objects.update(config_schema=SCHEMA)

    with pytest.raises(InvalidCommand) as refused:
        make_job(units, command={"name": "set_config", "params": patch})

    assert refused.value.errors[0]["field"] == f"command.{field}"
    assert not Job.objects.exists()


def test_a_jobs_patch_must_suit_every_product_of_its_devices() -> None:
    units = fleet_of(2)
    Product.objects.update(config_schema=SCHEMA)
    tenant, site = units[0].device.tenant, units[0].device.site
    slow = ProductFactory.create(
        tenant=tenant,
        slug="slow",
        config_schema={"properties": {"interval": {"type": "integer", "minimum": 60}}},
    )
    units.append(Unit(DeviceFactory.create(tenant=tenant, site=site, product=slow)))

    with pytest.raises(InvalidCommand) as refused:
        make_job(units, command={"name": "set_config", "params": {"interval": 30}})
    job = make_job(units, command={"name": "set_config", "params": {"interval": 60}})

    assert refused.value.errors == [
        {
            "field": "command.params.interval",
            "message": "slow: 30 is less than the minimum of 60",
        }
    ]
    # A job keeps its definition for good, and the schemas of the products change.
    assert "config_schemas" not in (job.definition or {})
