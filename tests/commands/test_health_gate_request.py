"""What a rollout may say of its health gate; a refusal names the field."""

from __future__ import annotations

from typing import Any

import pytest

from commands.exceptions import InvalidRollout
from commands.rollouts import complete_rollout
from tests.commands.units import now

WITHIN = "rollout.health_gate"


def complete(**gate: Any) -> Any:
    return complete_rollout({"health_gate": gate}, now=now())["health_gate"]


def test_a_gate_is_stored_with_its_defaults() -> None:
    assert complete(metric="disconnects", worse_by=0.02) == {
        "metric": "disconnects",
        "worse_by": 0.02,
        "alarm_code": None,
        "on_breach": "stop",
    }


@pytest.mark.parametrize(
    "gate",
    [
        {"metric": "alarms", "worse_by": 0, "alarm_code": "over_temperature"},
        {"metric": "risk", "worse_by": 15},
        {"metric": "command_failures", "worse_by": 1, "on_breach": "rollback"},
        {"metric": "telemetry:cpu_load", "worse_by": 2.5},
    ],
)
def test_every_metric_is_accepted(gate: dict[str, Any]) -> None:
    assert complete(**gate)["metric"] == gate["metric"]


@pytest.mark.parametrize(
    ("gate", "field"),
    [
        ({"worse_by": 0.1}, "metric"),
        ({"metric": "disconnects"}, "worse_by"),
        ({"metric": "mood", "worse_by": 0.1}, "metric"),
        ({"metric": "telemetry:", "worse_by": 0.1}, "metric"),
        ({"metric": "disconnects", "worse_by": 1.1}, "worse_by"),
        ({"metric": "disconnects", "worse_by": -0.1}, "worse_by"),
        ({"metric": "risk", "worse_by": "much"}, "worse_by"),
        ({"metric": "risk", "worse_by": 1, "alarm_code": "hot"}, "alarm_code"),
        ({"metric": "alarms", "worse_by": 0, "alarm_code": ""}, "alarm_code"),
        ({"metric": "risk", "worse_by": 1, "on_breach": "pray"}, "on_breach"),
        ({"metric": "risk", "worse_by": 1, "better_by": 1}, "better_by"),
    ],
)
def test_a_wrong_gate_names_its_field(gate: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRollout) as refused:
        complete(**gate)

    assert [error["field"] for error in refused.value.errors] == [f"{WITHIN}.{field}"]


def test_a_gate_is_an_object() -> None:
    with pytest.raises(InvalidRollout) as refused:
        complete_rollout({"health_gate": "disconnects"}, now=now())

    assert refused.value.errors[0]["field"] == WITHIN
