"""The tantivy schema made from the field table, and the conversion of documents.

Below a JSON field every key has ``$e`` (what is compared), and ``$s`` (text, after a
``=``, or tantivy reads it as a date) or ``$n`` (number), so that the type of a term
never depends on the first value. The texts are opaque: ``normal_forms`` makes them, and
tantivy splits them only at blanks.
"""

from __future__ import annotations

import re
from typing import Any

import tantivy

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
from fleet.normal_forms import indexed_tokens, sort_form, words_of

SCHEMA_VERSION = 2  # raise it when the same fields are indexed in another way
RAW, BLANKS = "raw", "whitespace"
BASIC = "basic"  # no frequencies or positions: results are not ranked


def fingerprint() -> str:
    """Return a hash that changes with the schema."""
    return columns.fingerprint(SCHEMA_VERSION)


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
    if has_words(field):
        builder.add_text_field(name + WORDS, tokenizer_name=BLANKS)
        builder.add_text_field(name + WORD, tokenizer_name=RAW, index_option=BASIC)
    if kind is Kind.NUMBER:
        builder.add_float_field(name, indexed=True, fast=True)
    if kind is Kind.DATE:
        builder.add_integer_field(name, indexed=True, fast=True)
    if kind is Kind.JSON:
        builder.add_json_field(name, fast=True, tokenizer_name=RAW, index_option=BASIC)


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
    for field, value in present_values(document.values):
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
        if has_words(field):
            words = words_of(value)
            made.add_text(name + WORDS, " ".join(indexed_tokens(words)))
            for word in dict.fromkeys(words):
                made.add_text(name + WORD, word)


def _add_terms(made: tantivy.Document, field: Field, value: Any) -> None:
    written = written_by_form(field, value)
    for text in written.values():
        made.add_text(field.name, text)
    if equal_column(field) == field.name + EQUAL:
        for form in written:
            made.add_text(field.name + EQUAL, form)
    if pattern_column(field) == field.name + SPELT:
        for spelling in spellings(field, written):
            made.add_text(field.name + SPELT, spelling)


def _json_tree(values: dict[str, Scalar | list[Scalar]]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in values.items():
        leaf = tree
        for key in _safe_key(path).split("."):
            leaf = leaf.setdefault(key, {})
        found = key_values(value)
        for column, items in (
            ("$e", found.forms),
            ("$s", [f"={text}" for text in found.texts]),
            ("$n", found.numbers),
        ):
            if items:
                leaf[column] = items
    return tree
