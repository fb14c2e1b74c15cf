"""The allowed forms of names and declarations in the registry."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from iotplatform.common.ids import UID

# These uids are part of API paths, such as devices/import/.
NO_UIDS = frozenset({"import", "export"})
RESERVED = "A path of the API has this name."
UID_TAKEN = "This uid is already taken."
UID_TAKEN_IN_OTHER_CASE = "This uid is already taken, in another case."

TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
METRIC_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
REPORTED_KEY = re.compile(r"[A-Za-z0-9_-]{1,64}(\.[A-Za-z0-9_-]{1,64}){0,7}")
METRIC_FIELDS = {"name", "unit", "dead_band"}

validate_uid = RegexValidator(
    rf"\A{UID.pattern}\Z",
    "1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit.",
)
validate_slug = RegexValidator(
    r"\A[a-z0-9][a-z0-9_-]{0,63}\Z",
    "1 to 64 lower-case letters, digits, '-' or '_'.",
)
validate_version = RegexValidator(
    r"\A[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}\Z",
    "1 to 64 letters, digits, '.', '_', '+' or '-'.",
)
validate_tag = RegexValidator(
    rf"\A{TAG.pattern}\Z",
    "1 to 64 letters, digits, '.', '_' or '-'.",
)


def validate_uid_is_free(value: str) -> None:
    """Refuse a uid that would make the device's URL another one."""
    if value in NO_UIDS:
        raise ValidationError(RESERVED)


def validate_time_zone(value: str) -> None:
    """Refuse a name that is not in the IANA time zone database."""
    if value not in available_timezones():
        raise ValidationError(f"'{value}' is not an IANA time zone.")


def validate_json_schema(value: Any) -> None:
    """Refuse a value that is not a JSON Schema object (draft 2020-12)."""
    if not isinstance(value, dict):
        raise ValidationError("A JSON Schema must be an object.")
    try:
        Draft202012Validator.check_schema(value)
    except SchemaError as error:
        raise ValidationError(f"Not a JSON Schema: {error.message}") from error
    for reference in references(value):
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise ValidationError(
                f"A $ref must point into the schema, as in '#/$defs/…': {reference}"
            )


def references(schema: Any) -> Iterator[Any]:
    """Yield every ``$ref`` of a schema."""
    if isinstance(schema, dict):
        yield from (schema[key] for key in ("$ref", "$dynamicRef") if key in schema)
        for inner in schema.values():
            yield from references(inner)
    elif isinstance(schema, list):
        for inner in schema:
            yield from references(inner)


def validate_metrics(value: Any) -> None:
    """Refuse values other than ``[{"name", "unit", "dead_band"?}]``, each name once."""
    if not isinstance(value, list):
        raise ValidationError("Metrics must be a list of objects.")
    names = [_checked_metric_name(row) for row in value]
    if len(set(names)) != len(names):
        raise ValidationError("Two metrics have the same name.")


def _checked_metric_name(row: Any) -> str:
    if not isinstance(row, dict) or not set(row) <= METRIC_FIELDS:
        raise ValidationError("A metric has only name, unit and dead_band.")
    name = row.get("name")
    if not isinstance(name, str) or not METRIC_NAME.fullmatch(name):
        raise ValidationError(f"{name!r} is not a valid name of a metric.")
    if not isinstance(row.get("unit", ""), str):
        raise ValidationError(f"The unit of {name} is not text.")
    band = row.get("dead_band", 0)
    if isinstance(band, bool) or not isinstance(band, int | float) or band < 0:
        raise ValidationError(f"The dead band of {name} is not a number ≥ 0.")
    return name


def validate_reported_keys(value: Any) -> None:
    """Refuse a value that is not a list of dotted keys."""
    if not isinstance(value, list):
        raise ValidationError("Reported keys must be a list of dotted names.")
    for key in value:
        if not isinstance(key, str) or not REPORTED_KEY.fullmatch(key):
            raise ValidationError(f"{key!r} is not a dotted key.")
