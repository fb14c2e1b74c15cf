"""A device's document as the JSON text that tantivy reads.

Most values are those of many devices, so what a value becomes is made once and kept:
the text of the field's columns, and its part of the source that searches show.
"""

from __future__ import annotations

import json
from base64 import b64decode
from binascii import b2a_base64
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

import msgspec
import tantivy

from fleet.backends.columns import (
    DEVICE_ID,
    EQUAL,
    SORT,
    SOURCE,
    SPELT,
    TENANT_ID,
    WORD,
    WORDS,
    equal_column,
    has_words,
    key_values,
    pattern_column,
    spellings,
    written_by_form,
)
from fleet.backends.documents import FleetDocument, milliseconds, rfc3339
from fleet.backends.tantivy_schema import safe_key
from fleet.fields import FIELDS, Field, Kind
from fleet.normal_forms import indexed_tokens, sort_form, words_of

Texts: TypeAlias = tuple[str, str]  # of a field: its columns, its part of the source
Leaf: TypeAlias = tuple[tuple[str, ...], str, str]  # the keys to it, columns, source

MOST_KEPT = 4_000  # values of one field; some 20 MB if every field has as many
# tantivy rounds numbers with more digits than these when it reads them as JSON.
EXACT_DIGITS, EXACT_EXPONENT = 15, 22
INEXACT = "\t"  # stands before such a number; in a text, JSON writes it as \t
OWN = frozenset({"uid", "name", "serial"})  # a device shares them with no other
_dumps = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_encode = msgspec.json.encode  # of texts only: it refuses large whole numbers


def to_text(document: FleetDocument) -> str:
    """Return the columns and the source of a document, as JSON."""
    columns = [f'"{DEVICE_ID}":{document.device_id:d}']
    source = []
    values = document.values
    for name, texts in FIELD_TEXTS:
        if name in values:
            value = values[name]
            column, shown = texts[value.__class__][value]
            source.append(shown)
            if column:
                columns.append(column)
    encoded = b2a_base64(f"{{{','.join(source)}}}".encode(), newline=False).decode()
    return (
        f'{{"{TENANT_ID}":{document.tenant_id:d},"{SOURCE}":"{encoded}"'
        f",{','.join(columns)}}}"
    )


def add_to(writer: tantivy.IndexWriter, text: str, schema: tantivy.Schema) -> None:
    """Add the document of a text; its numbers are kept to the last digit."""
    if INEXACT not in text:
        writer.add_json(text)
        return
    columns = json.loads(text)
    columns[SOURCE] = b64decode(columns[SOURCE])
    writer.add_document(tantivy.Document.from_dict(columns, schema))


class _Kept(dict[Any, Any]):
    """What values become, by value; made when first asked for."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make = make

    def __missing__(self, value: Any) -> Any:
        made = self._make(value)
        if len(self) >= MOST_KEPT:
            self.clear()
        self[value] = made
        return made


class _Made:
    """As ``_Kept``, but made each time."""

    def __init__(self, make: Callable[[Any], Any]) -> None:
        self._make = make

    def __getitem__(self, value: Any) -> Any:
        return self._make(value)


class _ByType(dict[type, Any]):
    """What values become, by their type first: 1, 1.0 and True are equal."""

    def __init__(self, make: Callable[[Any], Any], *, keeps: bool = True) -> None:
        self._make = make
        self._keeps = keeps

    def __missing__(self, kind: type) -> Any:
        keeps = self._keeps and kind not in (list, dict)
        self[kind] = made = (_Kept if keeps else _Made)(self._make)
        return made


class _KeptLists(_Kept):
    """As ``_Kept``, of lists of texts."""

    def __getitem__(self, value: list[str]) -> Any:
        return super().__getitem__(tuple(value))


def _texts_of(field: Field) -> _ByType:
    name = _dumps(field.name)
    leaves = _Kept(lambda path: _ByType(lambda value: _leaf(path, value)))

    def make(value: Any) -> Texts:
        if value is None or value == "":
            return "", f"{name}:{_dumps(value)}"
        if field.kind is Kind.JSON:
            found = [leaves[key][item.__class__][item] for key, item in value.items()]
            shown = ",".join(sorted([source for _, _, source in found]))
            tree = _joined([(keys, columns) for keys, columns, _ in found])
            return (f"{name}:{{{tree}}}" if tree else ""), f"{name}:{{{shown}}}"
        shown = _dumps(rfc3339(value) if isinstance(value, datetime) else value)
        return _members(_columns(field, value)), f"{name}:{shown}"

    texts = _ByType(make, keeps=field.name not in OWN)
    if field.is_list:
        texts[list] = _KeptLists(lambda value: make(list(value)))
    return texts


def _members(columns: dict[str, Any]) -> str:
    """Return the members of an object; a number is text already."""
    members = [
        f'"{name}":{value if value.__class__ is str else _encode(value).decode()}'
        for name, value in columns.items()
        if value
    ]
    return ",".join(members)


def _columns(field: Field, value: Any) -> dict[str, Any]:
    """Return the columns of a value: a list of texts, or the text of a number."""
    name, kind = field.name, field.kind
    if kind is Kind.NUMBER:
        return {name: _number(value)}
    if kind is Kind.DATE:
        return {name: f"{milliseconds(value)}"}
    if kind is Kind.BOOLEAN:
        return {name: ["true" if value else "false"]}
    columns = {} if kind is Kind.TEXT else _terms(field, value)
    if field.sorts:
        columns[name + SORT] = [sort_form(field, value)]
    if has_words(field):
        words = words_of(value)
        columns[name + WORDS] = [" ".join(indexed_tokens(words))]
        columns[name + WORD] = list(dict.fromkeys(words))
    return columns


def _terms(field: Field, value: Any) -> dict[str, list[str]]:
    written = written_by_form(field, value)
    columns = {field.name: list(written.values())}
    if equal_column(field) == field.name + EQUAL:
        columns[field.name + EQUAL] = list(written)
    if pattern_column(field) == field.name + SPELT:
        columns[field.name + SPELT] = spellings(field, written)
    return columns


def _number(value: float) -> str:
    text = repr(float(value) + 0.0)  # never -0.0
    digits, _, exponent = text.partition("e")
    is_exact = (
        len(digits.strip("-0.").replace(".", "")) <= EXACT_DIGITS
        and abs(int(exponent or 0)) + len(digits) <= EXACT_EXPONENT
    )
    return text if is_exact else INEXACT + text


def _leaf(path: str, value: Any) -> Leaf:
    found = key_values(value)
    columns: dict[str, Any] = {
        "$e": found.forms,
        "$s": [f"={text}" for text in found.texts],
        "$n": found.numbers and f"[{','.join(map(_number, found.numbers))}]",
    }
    shown = f"{_dumps(path)}:{_dumps(value)}"
    return tuple(safe_key(path).split(".")), _members(columns), shown


def _joined(leaves: list[tuple[tuple[str, ...], str]]) -> str:
    """Return the members of the object that has these leaves under their keys."""
    own: list[str] = []
    below: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for keys, members in leaves:
        if keys:
            below.setdefault(keys[0], []).append((keys[1:], members))
        elif members:
            own.append(members)
    for key, found in below.items():
        is_leaf = len(found) == 1 and not found[0][0]
        own.append(f'"{key}":{{{found[0][1] if is_leaf else _joined(found)}}}')
    return ",".join(own)


FIELD_TEXTS = sorted((field.name, _texts_of(field)) for field in FIELDS)
