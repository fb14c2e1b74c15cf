"""Checks of a request: parameters against their schema, policies within bounds."""

from __future__ import annotations

import json
from typing import Any

from jsonschema import Draft202012Validator

from commands.choices import FailureClass, OnFailure
from commands.definitions import DEFINITIONS, Definition
from commands.exceptions import InvalidCommand
from iotplatform.common.schema_errors import named_errors

# A device must have room for it, and the broker's limit is 64 KiB with the envelope.
MAX_PARAMS_BYTES = 32_768
DAY = 86_400

_seconds = {"type": "integer", "minimum": 1, "maximum": 7 * DAY}
POLICY_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "send_timeout_seconds": {"type": "integer", "minimum": 1, "maximum": 3_600},
        "receive_timeout_seconds": _seconds,
        "execute_timeout_seconds": _seconds,
        "verify_timeout_seconds": _seconds,
        "attempts": {"type": "integer", "minimum": 1, "maximum": 50},
        "backoff_seconds": {"type": "integer", "minimum": 0, "maximum": DAY},
        "expires_in_seconds": {"type": "integer", "minimum": 1, "maximum": 90 * DAY},
        "on_failure": {
            "type": "object",
            "properties": {
                failure.value: {"enum": [answer.value for answer in OnFailure]}
                for failure in FailureClass
            },
            "additionalProperties": False,
        },
    },
    "additionalProperties": False,
}


def schema_errors(
    schema: dict[str, Any], value: Any, *, field: str
) -> list[dict[str, str]]:
    """Return the errors of ``value``, each with the dotted name of its field."""
    found = Draft202012Validator(schema).iter_errors(value)
    return named_errors(found, field=field)


def checked_definition(name: str, params: Any, *, within: str = "") -> Definition:
    """Return the definition called ``name``, and check ``params`` against its schema.

    ``within`` is the dotted prefix of the command in its request ("command." in a job).
    Raises InvalidCommand.
    """
    definition = DEFINITIONS.get(name)
    field = f"{within}params"
    if definition is None:
        known = ", ".join(sorted(DEFINITIONS))
        text = f"There is no command '{name}'. Choose one of: {known}."
        raise InvalidCommand(errors=[{"field": f"{within}name", "message": text}])
    errors = schema_errors(definition.params_schema, params, field=field)
    if not errors and (problem := _why_not_storable(params)):
        errors = [{"field": field, "message": problem}]
    if errors:
        raise InvalidCommand(errors=errors)
    return definition


def complete_policy(
    definition: Definition, policy: Any, *, within: str = ""
) -> dict[str, Any]:
    """Return the definition's policy with ``policy`` over it; raises InvalidCommand."""
    policy = {} if policy is None else policy
    errors = schema_errors(POLICY_SCHEMA, policy, field=f"{within}policy")
    if errors:
        raise InvalidCommand(errors=errors)
    on_failure = definition.policy["on_failure"] | policy.get("on_failure", {})
    return {**definition.policy, **policy, "on_failure": on_failure}


def _why_not_storable(params: Any) -> str:
    """Return why a document cannot be stored or sent to a device; empty if it can."""
    try:
        text = json.dumps(params, ensure_ascii=False, allow_nan=False)
        size = len(text.encode())
    except RecursionError:
        return "Is nested too deeply."
    except UnicodeEncodeError:
        return "Contains half of a surrogate pair."
    except ValueError:
        return "Contains a number that is not finite."
    if size > MAX_PARAMS_BYTES:
        return f"Has {size} bytes; at most {MAX_PARAMS_BYTES} are allowed."
    if "\\u0000" in text:
        return "Contains a NUL character."
    return "" if _numbers_fit(params) else "Contains an integer of more than 64 bits."


def _numbers_fit(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_numbers_fit(inner) for inner in value.values())
    if isinstance(value, list):
        return all(_numbers_fit(inner) for inner in value)
    return not isinstance(value, int) or -(2**63) <= value < 2**63
