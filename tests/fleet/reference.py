"""A second implementation of the query language, in plain Python over documents.

It is slow and simple on purpose: tests compare the index with it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from fleet.backends.documents import FleetDocument
from fleet.fields import WORD_FIELDS, FieldRef, Kind
from fleet.normal_forms import pattern_form, pattern_forms
from fleet.query.tree import (
    All,
    And,
    Between,
    Day,
    Equals,
    Exists,
    Like,
    Node,
    Not,
    Or,
    Pattern,
    RelativeTime,
    Wild,
    WordLike,
    Words,
)
from iotplatform.common.folding import fold
from iotplatform.common.version_key import version_key

HAN = "[\u0e00-\u0eff\u3040-\u30ff\u4e00-\u9fff]"  # and kana, Thai, Lao


def matches(node: Node, document: FleetDocument, now: datetime) -> bool:
    """Whether a device with this document is found."""
    match node:
        case All():
            return True
        case And(items):
            return all(matches(item, document, now) for item in items)
        case Or(items):
            return any(matches(item, document, now) for item in items)
        case Not(item):
            return not matches(item, document, now)
        case Words(words, field):
            texts = _texts(document, field)
            wanted = _spaced(words)
            return any(wanted in _spaced(text, is_whole=True) for text in texts)
        case WordLike(pattern, field):
            return any(
                _fits(pattern_form(None, pattern), word)
                for part in _texts(document, field)
                for word in part
            )
        case Exists(field):
            return _exists(document, field)
        case Like(field, pattern):
            return any(
                _fits(pattern_form(field.field, pattern), text)
                for value in _values(document, field)
                for text in pattern_forms(field.field, value)
            )
        case Equals(field, value):
            return any(_equal(field, v, value, now) for v in _values(document, field))
        case Between():
            return any(_between(node, v, now) for v in _values(document, node.field))


def _texts(document: FleetDocument, field: FieldRef | None) -> list[list[str]]:
    names = WORD_FIELDS if field is None else (field.name,)
    texts = [document.values.get(name) or "" for name in names]
    return [_words(fold(text)) for text in texts]


def _words(text: str) -> list[str]:
    """Return the runs of letters, digits and marks."""
    kinds = (unicodedata.category(char)[0] in "LNM" for char in text)
    chars = zip(text, kinds, strict=True)
    return "".join(char if is_part else " " for char, is_part in chars).split()


def _spaced(words: Iterable[str], *, is_whole: bool = False) -> str:
    """Return the words as a text in which a phrase is a part of it.

    Around a word of a script with spaces there is always a blank; a phrase may begin
    or end within a run of Han or kana.
    """
    text = re.sub(f"({HAN}+)", r" \1 ", f" {' '.join(words)} ")
    text = re.sub(" +", " ", text)
    if is_whole:
        return text
    begin = text.lstrip() if re.match(f" {HAN}", text) else text
    return begin.rstrip() if re.search(f"{HAN} $", text) else begin


def _values(document: FleetDocument, field: FieldRef) -> Iterable[Any]:
    value = document.values.get(field.name)
    if field.kind is Kind.PATH and value:
        steps = value.split("/")  # every path above it finds it, too
        return ["/".join(steps[: n + 1]) for n in range(len(steps))]
    if field.path:
        value = (value or {}).get(field.path)
    if value is None or value == "":
        return []
    return map(_as_precise_as_an_index, value if isinstance(value, list) else [value])


def _as_precise_as_an_index(value: Any) -> Any:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if is_whole else value


def _exists(document: FleetDocument, field: FieldRef) -> bool:
    if not field.path:
        return bool(list(_values(document, field)))
    actual = document.values.get(field.name) or {}
    return any(f"{path}.".startswith(f"{field.path}.") for path in actual)


def _fits(pattern: Pattern, text: str) -> bool:
    holes = {Wild.MANY: ".*", Wild.ONE: "."}
    expression = "".join(
        holes[part] if isinstance(part, Wild) else re.escape(part) for part in pattern
    )
    return re.fullmatch(expression, text, re.DOTALL) is not None


def _equal(field: FieldRef, actual: Any, wanted: Any, now: datetime) -> bool:
    if field.kind is Kind.JSON:
        if isinstance(actual, bool):
            return bool(wanted.lower() == str(actual).lower())
        number = _number(wanted)
        if number is not None and _number(str(actual)) is not None:
            return number == float(actual)
        return fold(str(actual)) == fold(wanted)
    if field.kind is Kind.VERSION:
        return version_key(actual) == version_key(wanted)
    if field.kind is Kind.DATE:
        return _between(Between(field, wanted, wanted), actual, now)
    if field.field.is_exact:
        return bool(actual == wanted)
    if isinstance(actual, str):
        return fold(actual) == fold(str(wanted))
    return bool(actual == wanted)


def _number(text: str) -> float | None:
    is_number = re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text)
    return float(text) if is_number else None


def _between(node: Between, actual: Any, now: datetime) -> bool:
    if node.field.kind is Kind.JSON and (
        isinstance(actual, bool) or not isinstance(actual, int | float)
    ):
        return False
    if node.field.kind is Kind.VERSION:
        actual = version_key(actual)
    low, high = (_end(node, value, now) for value in (node.low, node.high))
    if isinstance(node.low, Day) and not node.has_low:
        low, above = low + timedelta(days=1), True
    else:
        above = node.has_low
    if isinstance(node.high, Day):
        high, below = high + timedelta(days=1 if node.has_high else 0), False
    else:
        below = node.has_high
    return bool(
        (low is None or actual > low or (above and actual == low))
        and (high is None or actual < high or (below and actual == high))
    )


def _end(node: Between, value: Any, now: datetime) -> Any:
    if isinstance(value, RelativeTime):
        return now + value.offset
    if isinstance(value, Day):
        return value.start
    if node.field.kind is Kind.VERSION and value is not None:
        return version_key(value)
    return value
