"""The Elasticsearch mapping made from the field table, and the conversion of documents.

No analyzer and no dynamic mapping: ``normal_forms`` makes every term. The words of a
text are a list of tokens, each at its own position. ``f__first`` holds the same tokens
in the same places, but of a script without spaces only the first character: so a single
character finds what follows it, whatever that is.

A JSON field is three flattened columns, by key: ``f__eq`` (what is compared), ``f__s``
(texts as written) and ``f__n`` (numbers, as text that sorts as they do). ``f__keys``
has the keys, with every key above them.
"""

from __future__ import annotations

from typing import Any

from fleet.backends import columns
from fleet.backends.columns import (
    DEVICE_ID,
    EQUAL,
    KEYED,
    SORT,
    SOURCE,
    SPELT,
    TENANT_ID,
    TERMS,
    WORD,
    WORDS,
    equal_column,
    has_words,
    key_values,
    pattern_column,
    present_values,
    spellings,
    written_by_form,
)
from fleet.backends.documents import FleetDocument, Scalar, milliseconds
from fleet.fields import FIELDS, Field, Kind
from fleet.normal_forms import (
    first_tokens,
    indexed_tokens,
    sort_form,
    sortable_number,
    words_of,
)

SCHEMA_VERSION = 1  # raise it when the same fields are indexed in another way
FIRST, TEXTS, NUMBERS, KEYS = "__first", "__s", "__n", "__keys"
LONGEST_KEY = 4_000  # characters; no query is longer, so none can name more

COLUMN = {"type": "keyword", "index": False}
INVERTED = {"type": "keyword", "doc_values": False}
BOTH = {"type": "keyword"}
TOKENS = {
    "type": "text",
    "analyzer": "keyword",
    "position_increment_gap": 0,
    "norms": False,
}
SETTINGS = {
    "number_of_shards": 1,  # so that the counts of a facet are exact
    "auto_expand_replicas": "0-1",
    "refresh_interval": "-1",  # a commit of the indexer refreshes
    # A deleted device's version is kept so long: an indexer that was stopped in the
    # middle of a batch must not bring the device back.
    "gc_deletes": "24h",
}


def fingerprint() -> str:
    """Return a hash that changes with the mapping."""
    return columns.fingerprint(SCHEMA_VERSION)


def known_fields(mapping: dict[str, Any]) -> frozenset[str]:
    """Return the fields that can be searched in an index of another schema."""
    return columns.readable_fields(mapping.get("_meta", {}), SCHEMA_VERSION)


def build_mapping() -> dict[str, Any]:
    properties: dict[str, Any] = {
        DEVICE_ID: {"type": "long"},
        TENANT_ID: INVERTED,
        SOURCE: {"type": "object", "enabled": False},
    }
    for field in FIELDS:
        properties |= _columns(field)
    kept = columns.describe(SCHEMA_VERSION)
    return {"dynamic": "strict", "_meta": kept, "properties": properties}


def _columns(field: Field) -> dict[str, Any]:
    name, kind = field.name, field.kind
    made: dict[str, Any] = {}
    if kind in TERMS:
        made[name] = BOTH if equal_column(field) == name else COLUMN
        for column in (name + EQUAL, name + SPELT):
            if column in (equal_column(field), pattern_column(field)):
                made[column] = INVERTED
    if kind in KEYED and field.sorts:
        made[name + SORT] = BOTH
    if has_words(field):
        made |= {name + WORDS: TOKENS, name + FIRST: TOKENS, name + WORD: INVERTED}
    if kind is Kind.NUMBER:
        made[name] = {"type": "double"}
    if kind is Kind.DATE:
        made[name] = {"type": "long"}
    if kind is Kind.JSON:
        made |= {name + c: {"type": "flattened"} for c in (EQUAL, TEXTS, NUMBERS)}
        made[name + KEYS] = INVERTED
    return made


def to_elastic(document: FleetDocument) -> dict[str, Any]:
    """Return the document as it is indexed."""
    made: dict[str, Any] = {
        DEVICE_ID: document.device_id,
        TENANT_ID: str(document.tenant_id),
        SOURCE: document.encoded().decode(),
    }
    for field, value in present_values(document.values):
        _add_value(made, field, value)
    return made


def _add_value(made: dict[str, Any], field: Field, value: Any) -> None:
    name, kind = field.name, field.kind
    if kind is Kind.NUMBER:
        made[name] = float(value) + 0.0  # never -0.0
    elif kind is Kind.DATE:
        made[name] = milliseconds(value)
    elif kind is Kind.BOOLEAN:
        made[name] = "true" if value else "false"
    elif kind is Kind.JSON:
        _add_keys(made, name, value)
    else:
        if kind is not Kind.TEXT:
            _add_terms(made, field, value)
        if field.sorts:
            made[name + SORT] = sort_form(field, value)
        if has_words(field):
            words = words_of(value)
            made[name + WORDS] = tokens = indexed_tokens(words)
            made[name + FIRST] = first_tokens(tokens)
            made[name + WORD] = list(dict.fromkeys(words))


def _add_terms(made: dict[str, Any], field: Field, value: Any) -> None:
    written = written_by_form(field, value)
    made[field.name] = list(written.values())
    if equal_column(field) == field.name + EQUAL:
        made[field.name + EQUAL] = list(written)
    if pattern_column(field) == field.name + SPELT:
        made[field.name + SPELT] = spellings(field, written)


def _add_keys(
    made: dict[str, Any], name: str, values: dict[str, Scalar | list[Scalar]]
) -> None:
    keys: dict[str, None] = {}
    forms: dict[str, list[str]] = {}
    texts: dict[str, list[str]] = {}
    numbers: dict[str, list[str]] = {}
    for path, value in values.items():
        steps = path.split(".")
        above = (".".join(steps[:count]) for count in range(1, len(steps) + 1))
        keys |= dict.fromkeys(key for key in above if len(key) <= LONGEST_KEY)
        if len(path) > LONGEST_KEY:
            continue
        found = key_values(value)
        forms[path], texts[path] = found.forms, found.texts
        numbers[path] = [sortable_number(number) for number in found.numbers]
    made[name + KEYS] = list(keys)
    made[name + EQUAL], made[name + TEXTS], made[name + NUMBERS] = forms, texts, numbers
