"""A merge patch of configuration, judged by the JSON Schema that a product declares.

The schema describes a whole document. A patch is a part of one: nothing is required in
it, and null removes a key.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]
Errors = list[dict[str, str]]

# What holds for a whole object only. A patch may have fewer keys.
WHOLE_ONLY = frozenset({"required", "minProperties", "dependentRequired"})
# Where a schema has schemas of the same object, or of one of its members. Lists are
# replaced as a whole by a patch, so what is below "items" stays as it is.
ONE_INSIDE = frozenset({"additionalProperties", "if", "then", "else"})
MANY_INSIDE = frozenset({"properties", "patternProperties", "$defs", "definitions"})
LISTED_INSIDE = frozenset({"allOf", "anyOf", "oneOf"})


def patch_schema(schema: Any) -> Any:
    """Return the schema of a merge patch without removals, from that of a document."""
    if not isinstance(schema, dict):
        return schema
    made: Schema = {}
    for key, value in schema.items():
        if key in WHOLE_ONLY:
            continue
        if key in ONE_INSIDE:
            made[key] = patch_schema(value)
        elif key in MANY_INSIDE and isinstance(value, dict):
            made[key] = {name: patch_schema(inner) for name, inner in value.items()}
        elif key in LISTED_INSIDE and isinstance(value, list):
            made[key] = [patch_schema(inner) for inner in value]
        else:
            made[key] = value
    return made


def without_removals(
    schema: Any, patch: dict[str, Any], *, field: str
) -> tuple[dict[str, Any], Errors]:
    """Return the patch without its nulls, and what is wrong with these.

    A required key cannot be removed, and neither can one that a closed schema does not
    know. A null that the schema allows as a value is a removal all the same.
    """
    rule = schema if isinstance(schema, dict) else {}
    required = rule.get("required", [])
    kept: dict[str, Any] = {}
    errors: Errors = []
    for key, value in patch.items():
        place = f"{field}.{key}"
        if value is None and key in required:
            errors.append({"field": place, "message": "Is required."})
        elif value is None and not _is_known(rule, key):
            errors.append({"field": place, "message": "Is not known."})
        elif isinstance(value, dict):
            inner = rule.get("properties", {}).get(key, {})
            kept[key], found = without_removals(inner, value, field=place)
            errors += found
        elif value is not None:
            kept[key] = value
    return kept, errors


def one_schema(schemas: dict[str, Schema]) -> Schema | None:
    """Return the schema that all products have that declare one; None: several."""
    found = list(schemas.values())
    is_one = bool(found) and all(each == found[0] for each in found)
    return found[0] if is_one else None


def _is_known(rule: Schema, key: str) -> bool:
    is_closed = rule.get("additionalProperties") is False
    has_patterns = bool(rule.get("patternProperties"))
    return not is_closed or has_patterns or key in rule.get("properties", {})
