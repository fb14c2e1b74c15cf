"""The tantivy schema made from the field table, and the conversion of documents.

For a field ``f``, the column ``f`` holds keywords, versions and booleans (terms in
lower case, facets and the terms of exact fields as written), and paths with every path
above them. ``f__sort`` is a text key for sorting and ranges, and is never shown.
``f__words`` holds the words of a text. Numbers are floats, dates are milliseconds.
Below a JSON field every key has ``$s`` (text, after a ``=`` so that tantivy does not
read it as a date) or ``$n`` (number), so that the type of a term never depends on the
first value.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import tantivy

from fleet.backends.documents import FleetDocument, Scalar, milliseconds
from fleet.fields import FIELDS, WORD_FIELDS, Field, Kind, fold, places_of, words_of
from fleet.version_key import version_key

SCHEMA_VERSION = 1  # raise it when the same fields are indexed in another way
FOLDED, RAW, BLANKS = "folded", "raw", "whitespace"
BASIC = "basic"  # no frequencies or positions: results are not ranked
SORT, WORDS = "__sort", "__words"
DEVICE_ID, TENANT_ID, SOURCE = "device_id__", "tenant_id__", "source__"
LONGEST_SORT_KEY = 96  # characters of a value; the device id orders the rest

TERMS = frozenset({Kind.KEYWORD, Kind.VERSION, Kind.PATH, Kind.BOOLEAN})
KEYED = frozenset({Kind.KEYWORD, Kind.VERSION, Kind.PATH, Kind.TEXT})


def fingerprint() -> str:
    """Return a hash that changes with the schema."""
    rows = [
        [f.name, f.kind, f.is_list, f.is_exact, f.name in WORD_FIELDS] for f in FIELDS
    ]
    text = json.dumps([SCHEMA_VERSION, rows])
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
        builder.add_text_field(
            name,
            fast=True,
            tokenizer_name=RAW if field.is_exact else FOLDED,
            index_option=BASIC,
        )
    if kind in KEYED and field.sorts:
        builder.add_text_field(
            name + SORT, fast=True, tokenizer_name=RAW, index_option=BASIC
        )
    if kind is Kind.TEXT or name in WORD_FIELDS:
        builder.add_text_field(name + WORDS, tokenizer_name=BLANKS)
    if kind is Kind.NUMBER:
        builder.add_float_field(name, indexed=True, fast=True)
    if kind is Kind.DATE:
        builder.add_integer_field(name, indexed=True, fast=True)
    if kind is Kind.JSON:
        builder.add_json_field(
            name, fast=True, tokenizer_name=FOLDED, index_option=BASIC
        )


def register_tokenizers(index: tantivy.Index) -> None:
    """Give an opened index our tokenizer; tantivy does not store it."""
    raw = tantivy.Tokenizer.raw
    folded = tantivy.TextAnalyzerBuilder(raw()).filter(tantivy.Filter.lowercase())
    index.register_tokenizer(FOLDED, folded.build())
    as_written = tantivy.TextAnalyzerBuilder(raw()).build()
    index.register_fast_field_tokenizer(FOLDED, as_written)


def sort_column(field: Field) -> str:
    """Return the column that a field is sorted by."""
    return field.name + SORT if field.kind in KEYED else field.name


def sort_key(field: Field, value: str) -> str:
    """Return the text that sorts as the value does.

    Hexadecimal, because ranges of text need tantivy's parser, and it accepts no other
    characters there.
    """
    if field.kind is Kind.VERSION:
        return version_key(value)
    return "s" + fold(value)[:LONGEST_SORT_KEY].encode().hex()


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
        made.add_float(name, float(value))
    elif kind is Kind.DATE:
        made.add_integer(name, milliseconds(value))
    elif kind is Kind.BOOLEAN:
        made.add_text(name, "true" if value else "false")
    elif kind is Kind.JSON:
        if tree := _json_tree(value):
            made.add_json(name, tree)
    else:
        texts = value if field.is_list else [value]
        for text in texts:
            if kind is not Kind.TEXT:
                for term in places_of(text) if kind is Kind.PATH else [text]:
                    made.add_text(name, term)
            if field.sorts:
                made.add_text(name + SORT, sort_key(field, text))
            if kind is Kind.TEXT or name in WORD_FIELDS:
                made.add_text(name + WORDS, " ".join(words_of(text)))


def _json_tree(values: dict[str, Scalar | list[Scalar]]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for path, value in values.items():
        leaf = tree
        for key in _safe_key(path).split("."):
            leaf = leaf.setdefault(key, {})
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, bool):
                leaf.setdefault("$s", []).append("=true" if item else "=false")
            elif isinstance(item, int | float):
                leaf.setdefault("$n", []).append(float(item))
            else:
                leaf.setdefault("$s", []).append("=" + str(item))
    return tree
