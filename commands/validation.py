"""Checks of a request: parameters against their schema, policies within bounds."""

from __future__ import annotations

import json
from typing import Any

from jsonschema import Draft202012Validator
from referencing.exceptions import Unresolvable

from commands.choices import FailureClass, OnFailure
from commands.config_schemas import one_schema, patch_schema, without_removals
from commands.definitions import Definition
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
    try:
        found = Draft202012Validator(schema).iter_errors(value)
        return named_errors(found, field=field)
    except Unresolvable as error:
        message = f"The schema refers to a part that it lacks: {error.ref}"
    except RecursionError:
        message = "The schema refers to itself endlessly."
    except OverflowError:
        message = "Contains a number that is too large for the schema."
    return [{"field": field, "message": message}]


def check_storable(params: Any, *, within: str = "") -> None:
    """Raise InvalidCommand for parameters that cannot be stored or sent.

    ``within`` is the dotted prefix of the command in its request ("command." in a job).
    """
    if problem := _why_not_storable(params):
        field = f"{within}params"
        raise InvalidCommand(errors=[{"field": field, "message": problem}])


def params_errors(
    definition: Definition, params: Any, *, field: str
) -> list[dict[str, str]]:
    """Return the errors of parameters by the definition's schema.

    A patch of configuration must match what the products of its devices declare, too.
    """
    errors = schema_errors(definition.params_schema, params, field=field)
    if errors or not isinstance(params, dict):
        return errors
    is_one = one_schema(definition.config_schemas) is not None
    for product, schema in definition.config_schemas.items():
        kept, errors = without_removals(schema, params, field=field)
        errors += schema_errors(patch_schema(schema), kept, field=field)
        if errors:
            whose = "" if is_one else f"{product}: "
            return [{**row, "message": whose + row["message"]} for row in errors]
    return []


def check_params(definition: Definition, params: Any, *, within: str = "") -> None:
    """Raise InvalidCommand for parameters that do not match the definition's schema."""
    errors = params_errors(definition, params, field=f"{within}params")
    if errors:
        raise InvalidCommand(errors=errors)
    check_storable(params, within=within)


def check_policy(policy: Any, *, within: str = "") -> None:
    """Raise InvalidCommand for a policy that is not within its bounds."""
    policy = {} if policy is None else policy
    errors = schema_errors(POLICY_SCHEMA, policy, field=f"{within}policy")
    if errors:
        raise InvalidCommand(errors=errors)


def complete_policy(
    definition: Definition, policy: Any, *, within: str = ""
) -> dict[str, Any]:
    """Return the definition's policy with ``policy`` over it; raises InvalidCommand."""
    check_policy(policy, within=within)
    return policy_over(definition.policy, policy or {})


def policy_over(below: dict[str, Any], policy: dict[str, Any]) -> dict[str, Any]:
    """Return a complete policy with the values of another one over it."""
    on_failure = below["on_failure"] | policy.get("on_failure", {})
    return {**below, **policy, "on_failure": on_failure}


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
