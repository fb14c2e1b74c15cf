"""The tantivy schema made from the field table.

Below a JSON field every key has ``$e`` (what is compared), and ``$s`` (text, after a
``=``, or tantivy reads it as a date) or ``$n`` (number), so that the type of a term
never depends on the first value. The texts are opaque: ``normal_forms`` makes them, and
tantivy splits them only at blanks.
"""

from __future__ import annotations

import re

import tantivy

from fleet.backends import columns
from fleet.backends.columns import (
    DEVICE_ID,
    KEYED,
    SORT,
    SOURCE,
    TENANT_ID,
    TERMS,
    WORD,
    WORDS,
    equal_column,
    has_words,
    pattern_column,
)
from fleet.fields import FIELDS, Field, Kind

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
    return f"{name}.{safe_key(path)}"


def safe_key(path: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", lambda match: f"${ord(match.group()):x}$", path)
