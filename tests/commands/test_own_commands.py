"""A tenant's own commands: which definition counts, and what a command keeps of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from commands.exceptions import InvalidCommand
from commands.models import Command, CommandDefinition, JobTarget
from commands.services.actions import retry_command
from commands.services.commands import request_command
from commands.services.definitions import (
    change_definition,
    create_definition,
    delete_definition,
)
from commands.services.device_lifecycle import move_device
from commands.services.job_advance import advance_job
from commands.services.jobs import start_job
from fleet.services.jobs import JobRequest, preview_job
from registry.models import Product
from tests.commands.test_device_replacement import spare_for
from tests.commands.test_jobs import commands_of, fleet_of, make_job, tick
from tests.commands.units import Unit, ask, deliver, fresh, now, online_unit, sweep
from tests.factories import DeviceFactory, ProductFactory

pytestmark = pytest.mark.django_db

SCHEMA = {
    "type": "object",
    "properties": {"position": {"type": "integer", "minimum": 0, "maximum": 100}},
    "required": ["position"],
    "additionalProperties": False,
}
VALVE = {"valve": {"position": "{{ params.position }}"}}


def define(unit: Unit, **fields: Any) -> CommandDefinition:
    values: dict[str, Any] = {
        "name": "open_valve",
        "command_class": "operation",
        "params_schema": SCHEMA,
    }
    return create_definition(tenant=unit.device.tenant, **(values | fields))


def why_not(unit: Unit, name: str, params: dict[str, Any]) -> list[dict[str, Any]]:
    with pytest.raises(InvalidCommand) as refused:
        ask(unit, name, params)
    return refused.value.errors


def test_a_command_has_the_class_policy_and_expectation_of_its_definition() -> None:
    unit = online_unit()
    define(unit, expectation=VALVE, policy={"attempts": 7}, command_class="job")

    command = ask(unit, "open_valve", {"position": 40}, backoff_seconds=5)

    assert command.command_class == "job"
    assert command.expectation == {"valve": {"position": 40}}
    assert (command.policy["attempts"], command.policy["backoff_seconds"]) == (7, 5)
    deliver()
    unit.report(1, {"valve": {"position": 40, "at": "now"}})
    assert fresh(command).status == "verified"


def test_parameters_are_checked_by_the_definitions_schema() -> None:
    unit = online_unit()
    define(unit)

    assert why_not(unit, "open_valve", {"position": 101})[0]["field"] == (
        "params.position"
    )
    assert why_not(unit, "open_valve", {})[0]["field"] == "params.position"


def test_a_definition_for_the_product_goes_before_one_for_all() -> None:
    unit, other = fleet_of(2)
    product = ProductFactory.create(tenant=unit.device.tenant)
    elsewhere = Unit(DeviceFactory.create(tenant=unit.device.tenant, product=product))
    define(unit, product=unit.device.product, policy={"attempts": 9})
    only_there = define(unit, name="only_there", product=product)
    define(unit, policy={"attempts": 4})

    asked = [ask(each, "open_valve", {"position": 1}) for each in (other, elsewhere)]

    assert [command.policy["attempts"] for command in asked] == [9, 4]
    assert why_not(unit, only_there.name, {"position": 1})[0]["field"] == "name"
    assert "open_valve" in why_not(unit, "nonsense", {})[0]["message"]


def test_another_tenants_definition_is_no_command() -> None:
    unit, stranger = online_unit(), online_unit()
    define(stranger)

    (error,) = why_not(unit, "open_valve", {"position": 1})

    assert error["field"] == "name"
    assert "open_valve" not in error["message"].split("Choose")[1]


def test_a_changed_or_deleted_definition_changes_nothing_under_way() -> None:
    unit, waiting = fleet_of(2)
    definition = define(unit, is_repeatable=True, expectation=VALVE)
    key: dict[str, Any] = {
        "device": unit.device,
        "name": "open_valve",
        "params": {"position": 40},
        "policy": None,
        "idempotency_key": "k1",
        "actor": None,
    }
    command, _ = request_command(**key)
    asked = {"name": "open_valve", "params": {"position": 40}}
    job = make_job([waiting], command=asked)
    change_definition(definition, is_repeatable=False, policy={"attempts": 1})
    delete_definition(definition)
    at = now()
    deliver(at=at)
    unit.acknowledge(command, at=at)
    start_job(job=job, actor=None)
    tick()

    sweep(at + timedelta(seconds=command.policy["execute_timeout_seconds"] + 1))

    # Not repeatable, it would be unknown now.
    assert fresh(command).status == "timed_out"
    (member,) = commands_of(job)
    assert (member.is_repeatable, member.policy["attempts"]) == (True, 3)
    assert member.expectation == {"valve": {"position": 40}}
    again = retry_command(command=fresh(command), actor=None, reason="")
    assert again.status == "queued"
    assert request_command(**key) == (fresh(command), False)
    assert why_not(unit, "open_valve", {})[0]["field"] == "name"


def test_a_successor_device_gets_the_command_as_it_was_asked_for() -> None:
    unit = online_unit()
    definition = define(unit, is_repeatable=True, expectation=VALVE)
    command = ask(unit, "open_valve", {"position": 40}, on_failure={"no_ack": "none"})
    spare = spare_for(unit.device)
    delete_definition(definition)

    move_device(
        device=unit.device, to="replaced", replaced_by=spare, actor=None, reason="x"
    )

    passed_on = Command.objects.get(device=spare, name="open_valve")
    same = ("is_repeatable", "expectation", "policy", "failure_rules", "command_class")
    assert [getattr(passed_on, name) for name in same] == [
        getattr(command, name) for name in same
    ]


def test_configuration_of_ones_own_is_merged_and_verified_by_its_patch() -> None:
    unit = online_unit()
    schema = {"type": "object", "properties": {"interval": {"type": "integer"}}}
    define(unit, name="set_pace", command_class="config", params_schema=schema)

    command = ask(unit, "set_pace", {"interval": 5})
    deliver()
    unit.report(1, {"interval": 5, "other": 1})

    assert fresh(command).status == "verified"
    assert command.desired_version == 1


def of_product(unit: Unit, product: Product) -> Unit:
    return Unit(DeviceFactory.create(tenant=unit.device.tenant, product=product))


def test_a_job_leaves_out_devices_whose_product_does_not_have_its_command() -> None:
    unit = online_unit()
    other = of_product(unit, ProductFactory.create(tenant=unit.device.tenant))
    define(unit, product=unit.device.product)
    asked = {"name": "open_valve", "params": {"position": 40}}
    uids = {"devices": [unit.device.uid, other.device.uid]}

    preview = preview_job(
        JobRequest(tenant=unit.device.tenant, name="x", source=uids, command=asked)
    )
    job = make_job([unit, other], command=asked)

    assert preview["scope"]["targets"] == 1
    skipped = JobTarget.objects.get(job=job, device=other.device)
    assert skipped.skip_reason == "its product does not have this command"


def test_a_job_is_refused_where_two_products_have_different_definitions() -> None:
    unit = online_unit()
    product = ProductFactory.create(tenant=unit.device.tenant)
    other = of_product(unit, product)
    define(unit)
    define(unit, product=product, is_repeatable=True)

    with pytest.raises(InvalidCommand) as refused:
        make_job(
            [unit, other], command={"name": "open_valve", "params": {"position": 1}}
        )

    assert [error["field"] for error in refused.value.errors] == ["command.name"]


def test_a_jobs_members_cost_no_query_each() -> None:
    counts = []
    for size in (2, 12):
        units = fleet_of(size)
        define(units[0])
        asked = {"name": "open_valve", "params": {"position": 40}}
        job = make_job(units, command=asked)
        start_job(job=job, actor=None)
        with CaptureQueriesContext(connection) as queries:
            advance_job(job.pk, now=now())
        assert len(commands_of(job)) == size
        counts.append(len(queries))

    assert counts[0] == counts[1]
