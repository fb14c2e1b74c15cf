"""The columns of a device's document, the same in every engine.

For a field ``f``, the column ``f`` holds keywords, versions, booleans, and paths with
every path above them, as written: facets show them. What is compared is in ``f__eq``,
where that may differ from the written text; for a version it is ``f__sort``, the text
key for sorting and ranges. ``f__spelt`` holds a version's spellings, for wildcards.
``f__words`` holds the tokens of a text in their order, ``f__word`` its whole words.
Numbers are floats, dates are milliseconds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fleet.backends.documents import Scalar
from fleet.fields import FIELDS, WORD_FIELDS, Field, Kind
from fleet.normal_forms import (
    FORMS_VERSION,
    equal_form,
    pattern_forms,
    places_of,
    scalar_form,
)

SORT, EQUAL, SPELT = "__sort", "__eq", "__spelt"
WORDS, WORD = "__words", "__word"
DEVICE_ID, TENANT_ID, SOURCE = "device_id__", "tenant_id__", "source__"

ALL_FIELDS = frozenset(field.name for field in FIELDS)
TERMS = frozenset({Kind.KEYWORD, Kind.VERSION, Kind.PATH, Kind.BOOLEAN})
KEYED = frozenset({Kind.KEYWORD, Kind.VERSION, Kind.PATH, Kind.TEXT})


def fingerprint(schema_version: int) -> str:
    """Return a hash that changes with an engine's schema."""
    text = json.dumps([schema_version, FORMS_VERSION, list(_rows().values())])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def describe(schema_version: int) -> dict[str, Any]:
    """Return what an index keeps about its schema, for later versions of ours."""
    return {"forms": [schema_version, FORMS_VERSION], "fields": _rows()}


def readable_fields(kept: dict[str, Any], schema_version: int) -> frozenset[str]:
    """Return the fields that can be searched in an index of another schema.

    None, if its values are compared in another way; else those that are the same.
    """
    if kept.get("forms") != [schema_version, FORMS_VERSION]:
        return frozenset()
    rows = _rows()
    found = kept.get("fields", {})
    return frozenset(name for name, row in rows.items() if found.get(name) == row)


def _rows() -> dict[str, list[Any]]:
    return {
        f.name: [f.name, str(f.kind), f.is_list, equal_column(f), f.name in WORD_FIELDS]
        for f in FIELDS
    }


def equal_column(field: Field) -> str:
    """Return the column of what is compared."""
    if field.kind is Kind.VERSION:
        return field.name + SORT
    is_as_written = field.is_exact or field.vocabulary or field.kind is Kind.BOOLEAN
    return field.name if is_as_written else field.name + EQUAL


def pattern_column(field: Field) -> str:
    """Return the column that wildcards are compared with."""
    return field.name + SPELT if field.kind is Kind.VERSION else equal_column(field)


def sort_column(field: Field) -> str:
    """Return the column that a field is sorted by."""
    return field.name + SORT if field.kind in KEYED else field.name


def has_words(field: Field) -> bool:
    """Whether words are searched in a field."""
    return field.kind is Kind.TEXT or field.name in WORD_FIELDS


def present_values(values: dict[str, Any]) -> Iterator[tuple[Field, Any]]:
    """Yield each field of a document that has a value."""
    for found in FIELDS:
        value = values.get(found.name)
        if value is not None and value != "":
            yield found, value


def written_by_form(field: Field, value: Any) -> dict[str, str]:
    """Return the written values of a field by what is compared of them.

    A device counts once for a value, however often and in whatever case it has it.
    """
    if field.kind is Kind.PATH:
        texts = places_of(value)
    else:
        texts = value if field.is_list else [value]
    return {equal_form(field, text): text for text in reversed(texts)}


def spellings(field: Field, written: dict[str, str]) -> list[str]:
    """Return the texts that a pattern is compared with."""
    found = (form for text in written.values() for form in pattern_forms(field, text))
    return list(dict.fromkeys(found))


@dataclass
class KeyValues:
    """The values of one key below a JSON field: what is compared, and as written."""

    forms: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    numbers: list[float] = field(default_factory=list)


def key_values(value: Scalar | list[Scalar]) -> KeyValues:
    """Return the different values of a key."""
    found = KeyValues()
    # Numbers first: a text that reads as one of them adds nothing.
    items = value if isinstance(value, list) else [value]
    for item in sorted(items, key=lambda item: isinstance(item, str | bool)):
        form = scalar_form(item)
        if form in found.forms:
            continue
        found.forms.append(form)
        if isinstance(item, bool):
            found.texts.append("true" if item else "false")
        elif isinstance(item, int | float):
            found.numbers.append(float(item) + 0.0)
        else:
            found.texts.append(str(item))
    return found
