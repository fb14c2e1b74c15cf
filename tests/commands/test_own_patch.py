"""A configuration command verifies its own patch; the whole document is drift."""

from __future__ import annotations

from typing import Any

import pytest

from commands.expectations import patch_without_removals
from commands.models import Command
from commands.services.device_lifecycle import move_device
from commands.services.jobs import start_job
from state.models import Twin
from tests.commands.test_device_replacement import spare_for
from tests.commands.test_jobs import make_job, tick
from tests.commands.units import Unit, ask, deliver, fresh, online_unit

pytestmark = pytest.mark.django_db


def with_a_key_never_reported() -> Unit:
    """Return a device with a desired key that it does not know."""
    unit = online_unit()
    ask(unit, "set_config", {"unknown_to_it": 1})
    deliver()
    unit.report(1, {"interval": 60})
    return unit


def test_a_key_that_is_never_reported_does_not_block_later_configuration() -> None:
    unit = with_a_key_never_reported()
    command = ask(unit, "set_config", {"interval": 5})
    deliver()

    unit.report(2, {"interval": 5})

    assert fresh(command).status == "verified"
    drift = Twin.objects.get(device=unit.device).delta
    assert drift == {"unknown_to_it": {"desired": 1, "reported": None}}


def test_a_jobs_configuration_verifies_its_own_patch_too() -> None:
    unit = with_a_key_never_reported()
    job = make_job([unit], command={"name": "set_config", "params": {"interval": 5}})
    start_job(job=job, actor=None)
    tick()
    deliver()

    unit.report(2, {"interval": 5})

    assert Command.objects.get(job=job).status == "verified"


def test_a_successors_configuration_verifies_what_it_had_to_change() -> None:
    unit = online_unit()
    ask(unit, "set_config", {"interval": 5})
    spare = spare_for(unit.device)
    ask(Unit(spare), "set_config", {"unknown_to_it": 1, "interval": 60})
    move_device(device=unit.device, to="replaced", replaced_by=spare)

    command = Command.objects.filter(device=spare).latest("pk")

    assert command.params == {"unknown_to_it": None, "interval": 5}
    assert command.expectation == {"interval": 5}


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({"a": 1, "b": None}, {"a": 1}),
        ({"a": {"b": None}}, {}),
        ({"a": {"b": {"c": None}, "d": 2}}, {"a": {"d": 2}}),
        ({"a": {}, "b": [{"c": None}]}, {"a": {}, "b": [{"c": None}]}),
    ],
)
def test_removed_keys_need_not_be_reported(
    patch: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert patch_without_removals(patch) == expected
