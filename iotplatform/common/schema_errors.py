"""What is wrong with a document by its JSON Schema: each field by its dotted path."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError

MAX_MESSAGE = 500  # jsonschema quotes the value


def named_errors(
    found: Iterable[ValidationError], *, field: str
) -> list[dict[str, str]]:
    """Return the errors of the document in ``field``, each once.

    A missing or unknown key is named itself, not only the object that it belongs to.
    """
    rows = dict.fromkeys(row for error in found for row in _rows(error, field))
    return [{"field": place, "message": message} for place, message in rows]


def _rows(error: ValidationError, field: str) -> list[tuple[str, str]]:
    path = ".".join([field, *(str(part) for part in error.absolute_path)])
    if error.validator == "required":  # one error a missing key, which it does not name
        missing = [name for name in error.validator_value if name not in error.instance]
        return [(f"{path}.{name}", "Is required.") for name in missing]
    if error.validator == "additionalProperties" and error.validator_value is False:
        if not error.schema.get("patternProperties"):
            known = error.schema.get("properties", {})
            extra = [name for name in error.instance if name not in known]
            return [(f"{path}.{name}", "Is not known.") for name in extra]
    return [(path, error.message[:MAX_MESSAGE])]
