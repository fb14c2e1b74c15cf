"""What a rollout's health gate may say, and its check."""

from __future__ import annotations

from typing import Any

TELEMETRY = "telemetry:"
DISCONNECTS, ALARMS, RISK, FAILURES = (
    *("disconnects", "alarms", "risk", "command_failures"),
)
# Of these a share of the devices is compared, of the others a number of each device.
SHARES = frozenset({DISCONNECTS, ALARMS, FAILURES})
METRICS = (DISCONNECTS, ALARMS, RISK, FAILURES)
LONGEST_NAME = 64
STOP, ROLLBACK = "stop", "rollback"

HEALTH_GATE_SCHEMA: dict[str, Any] = {
    "type": ["object", "null"],
    "properties": {
        "metric": {"type": "string"},
        "alarm_code": {
            "type": ["string", "null"],
            "minLength": 1,
            "maxLength": LONGEST_NAME,
        },
        "worse_by": {"type": "number", "minimum": 0},
        "on_breach": {"enum": [STOP, ROLLBACK]},
    },
    "required": ["metric", "worse_by"],
    "additionalProperties": False,
}


def is_numeric(gate: dict[str, Any]) -> bool:
    """Whether the gate compares a number of each device, not an event."""
    return gate["metric"] not in SHARES


def gate_errors(gate: dict[str, Any] | None) -> list[dict[str, str]]:
    """Return what is wrong in a gate that fits its schema, each with its field."""
    if gate is None:
        return []
    errors = []
    metric = gate["metric"]
    name = metric.removeprefix(TELEMETRY) if metric.startswith(TELEMETRY) else None
    if metric not in METRICS and not (name and len(name) <= LONGEST_NAME):
        names = ", ".join(METRICS)
        errors.append(_error("metric", f"One of {names}, or telemetry:<name>."))
    elif metric in SHARES and gate["worse_by"] > 1:
        errors.append(_error("worse_by", "A share of the devices, from 0 to 1."))
    if gate.get("alarm_code") and metric != ALARMS:
        errors.append(_error("alarm_code", "Only for the metric alarms."))
    return errors


def complete_gate(gate: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the gate with its defaults."""
    if gate is None:
        return None
    return {"alarm_code": None, "on_breach": STOP, **gate}


def _error(field: str, message: str) -> dict[str, str]:
    return {"field": f"rollout.health_gate.{field}", "message": message}
