"""The tantivy schema made from the field table, and the conversion of documents.

For a field ``f``, the column ``f`` holds keywords, versions, booleans, and paths with
every path above them, as written: facets show them. What is compared is in ``f__eq``,
where that may differ from the written text; for a version it is ``f__sort``, the text
key for sorting and ranges. ``f__spelt`` holds a version's spellings, for wildcards.
``f__words`` holds the tokens of a text in their order, ``f__word`` its whole words.
Numbers are floats, dates are milliseconds. Below a JSON field every key has ``$e``
(what is compared), and ``$s`` (text, after a ``=``, or tantivy reads it as a date) or
``$n`` (number), so that the type of a term never depends on the first value. The texts
are opaque: ``normal_forms`` makes them, and tantivy splits them only at blanks.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import tantivy

from fleet.backends.documents import FleetDocument, Scalar, milliseconds
from fleet.fields import FIELDS, WORD_FIELDS, Field, Kind
from fleet.normal_forms import (
    FORMS_VERSION,
    equal_form,
    indexed_tokens,
    pattern_forms,
    places_of,
    scalar_form,
    sort_form,
    words_of,
)

SCHEMA_VERSION = 2  # raise it when the same fields are indexed in another way
RAW, BLANKS = "raw", "whitespace"
BASIC = "basic"  # no frequencies or positions: results are not ranked
SORT, EQUAL, SPELT = "__sort", "__eq", "__spelt"
WORDS, WORD = "__words", "__word"
DEVICE_ID, TENANT_ID, SOURCE = "device_id__", "tenant_id__", "source__"

TERMS = frozenset({Kind.KEYWORD, Kind.VERSION, Kind.PATH, Kind.BOOLEAN})
KEYED = frozenset({Kind.KEYWORD, Kind.VERSION, Kind.PATH, Kind.TEXT})


def fingerprint() -> str:
    """Return a hash that changes with the schema."""
    rows = [
        [f.name, f.kind, f.is_list, equal_column(f), f.name in WORD_FIELDS]
        for f in FIELDS
    ]
    text = json.dumps([SCHEMA_VERSION, FORMS_VERSION, rows])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def build_schema() -> tantivy.Schema:
    builder = tantivy.SchemaBuilder()
    builder.add_integer_field(DEVICE_ID, indexed=True, fast=True)
    builder.add_integer_field(TENANT_ID, indexed=True, fast=True)
    builder.add_bytes_field(SOURCE, stored=True)
    for field in FIELDS:
        _add_field(builder, field)
    return builder.build()


def _add_field(builder: tantivy.SchemaBuilder, field: Field) -> None:
    name, kind = field.name, field.kind
    # Positional: stored, fast (a column), tokenizer, index option.
    if kind in TERMS:
        builder.add_text_field(name, fast=True, tokenizer_name=RAW, index_option=BASIC)
        for column in {equal_column(field), pattern_column(field)}:
            if column not in (name, name + SORT):
                builder.add_text_field(column, tokenizer_name=RAW, index_option=BASIC)
    if kind in KEYED and field.sorts:
        builder.add_text_field(
            name + SORT, fast=True, tokenizer_name=RAW, index_option=BASIC
        )
    if kind is Kind.TEXT or name in WORD_FIELDS:
        builder.add_text_field(name + WORDS, tokenizer_name=BLANKS)
        builder.add_text_field(name + WORD, tokenizer_name=RAW, index_option=BASIC)
    if kind is Kind.NUMBER:
        builder.add_float_field(name, indexed=True, fast=True)
    if kind is Kind.DATE:
        builder.add_integer_field(name, indexed=True, fast=True)
    if kind is Kind.JSON:
        builder.add_json_field(name, fast=True, tokenizer_name=RAW, index_option=BASIC)


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


def json_path(name: str, path: str) -> str:
    """Return the column of a key below a JSON field."""
    return f"{name}.{_safe_key(path)}"


def _safe_key(path: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", lambda match: f"${ord(match.group()):x}$", path)


def to_tantivy(document: FleetDocument) -> tantivy.Document:
    made = tantivy.Document()
    made.add_integer(DEVICE_ID, document.device_id)
    made.add_integer(TENANT_ID, document.tenant_id)
    made.add_bytes(SOURCE, document.encoded())
    for field in FIELDS:
        value = document.values.get(field.name)
        if value is None or value == "":
            continue
        _add_value(made, field, value)
    return made


def _add_value(made: tantivy.Document, field: Field, value: Any) -> None:
    name, kind = field.name, field.kind
    if kind is Kind.NUMBER:
        made.add_float(name, float(value) + 0.0)  # never -0.0
    elif kind is Kind.DATE:
        made.add_integer(name, milliseconds(value))
    elif kind is Kind.BOOLEAN:
        made.add_text(name, "true" if value else "false")
    elif kind is Kind.JSON:
        if tree := _json_tree(value):
            made.add_json(name, tree)
    else:
        if kind is not Kind.TEXT:
            _add_terms(made, field, value)
        if field.sorts:
            made.add_text(name + SORT, sort_form(field, value))
        if kind is Kind.TEXT or name in WORD_FIELDS:
            words = words_of(value)
            made.add_text(name + WORDS, " ".join(indexed_tokens(words)))
            for word in dict.fromkeys(words):
                made.add_text(name + WORD, word)


def _add_terms(made: tantivy.Document, field: Field, value: Any) -> None:
    texts = value if field.is_list else [value]
    if field.kind is Kind.PATH:
        texts = places_of(value)
    # A device counts once for a value, however often and in whatever case it has it.
    terms = {equal_form(field, text): text for text in reversed(texts)}
    for text in terms.values():
        made.add_text(field.name, text)
    if equal_column(field) == field.name + EQUAL:
        for term in terms:
            made.add_text(field.name + EQUAL, term)
    if pattern_column(field) == field.name + SPELT:
        for text in terms.values():
            for spelling in pattern_forms(field, text):
                made.add_text(field.name + SPELT, spelling)


def _json_tree(values: dict[str, Scalar | list[Scalar]]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in values.items():
        leaf = tree
        for key in _safe_key(path).split("."):
            leaf = leaf.setdefault(key, {})
        seen = leaf.setdefault("$e", [])
        # Numbers first: a text that reads as one of them adds nothing.
        items = value if isinstance(value, list) else [value]
        for item in sorted(items, key=lambda item: isinstance(item, str | bool)):
            form = scalar_form(item)
            if form in seen:
                continue
            seen.append(form)
            if isinstance(item, bool):
                leaf.setdefault("$s", []).append("=true" if item else "=false")
            elif isinstance(item, int | float):
                leaf.setdefault("$n", []).append(float(item) + 0.0)
            else:
                leaf.setdefault("$s", []).append("=" + str(item))
    return tree
