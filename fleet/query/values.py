"""Values of a query: read by the kind of their field, and quoted."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import NoReturn

from fleet.exceptions import QueryError
from fleet.fields import FieldRef, Kind
from fleet.normal_forms import as_number
from fleet.query.tree import Day, Moment, Pattern, RelativeTime, Value, Wild
from iotplatform.common.folding import fold

NOW = re.compile(r"now(?:([+-])(\d{1,6})([smhdw]))?")
DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
# Words that need quotes; in small letters too, which the parser refuses bare.
RESERVED = frozenset({"AND", "OR", "NOT", "TO"})
TRUTHS = {"true": True, "false": False}
WILD_EXPRESSIONS = {Wild.MANY: ".*", Wild.ONE: "."}


def read_value(ref: FieldRef, text: str, position: int) -> Value:
    """Return ``text`` as a value of this field; raises QueryError."""
    if ref.kind is Kind.NUMBER:
        return _number(ref, text, position)
    if ref.kind is Kind.DATE:
        return _moment(ref, text, position)
    if ref.kind is Kind.BOOLEAN:
        if text.lower() not in TRUTHS:
            _refuse(ref, text, position, "true or false", near_word(text, TRUTHS))
        return TRUTHS[text.lower()]
    if ref.kind is Kind.PATH:
        return text.strip("/") or text
    words = ref.field.vocabulary
    if words and fold(text) not in words:
        expected = f"one of {', '.join(words)}"
        _refuse(ref, text, position, expected, near_word(text, words))
    return text


def check_pattern(ref: FieldRef, pattern: Pattern, position: int) -> None:
    """Raise QueryError if no word of a closed vocabulary fits the pattern."""
    words = ref.field.vocabulary
    expression = "".join(
        WILD_EXPRESSIONS[part] if isinstance(part, Wild) else re.escape(fold(part))
        for part in pattern
    )
    if words and not any(re.fullmatch(expression, word) for word in words):
        raise QueryError(
            f"None of {', '.join(words)} fits this pattern ({ref}).", position
        )


def near_word(text: str, words: Iterable[str]) -> str | None:
    """Return the word of a closed vocabulary that was probably meant."""
    near = get_close_matches(fold(text), list(words), n=1, cutoff=0.6)
    return near[0] if near else None


def read_bound(ref: FieldRef, text: str, position: int) -> Value:
    """Return an end of a range; values below attr and the like must be numbers."""
    if ref.kind is Kind.JSON:
        return _number(ref, text, position)
    return read_value(ref, text, position)


def _number(ref: FieldRef, text: str, position: int) -> float:
    number = as_number(text)
    if number is None:
        _refuse(ref, text, position, "a number")
    return number


def _moment(ref: FieldRef, text: str, position: int) -> Moment:
    # A time without offset is another instant for each reader; a day is UTC's.
    expected = "a day, now-3d, or a time with its offset: 2026-11-20T10:00:00Z"
    try:
        if match := NOW.fullmatch(text):
            sign, count, unit = match.groups()
            if sign is None:
                return RelativeTime(timedelta())
            offset = timedelta(**{UNITS[unit]: int(count)})
            return RelativeTime(-offset if sign == "-" else offset, text)
        if DAY.fullmatch(text):
            return Day(datetime.fromisoformat(text).replace(tzinfo=UTC))
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    _refuse(ref, text, position, expected)


def _refuse(
    ref: FieldRef,
    text: str,
    position: int,
    expected: str,
    meant: str | None = None,
) -> NoReturn:
    shown = text if len(text) <= 40 else text[:39] + "…"
    raise QueryError(f"'{shown}' is not {expected} ({ref}).", position, meant)


def quote(text: str) -> str:
    """Return the text so that the parser reads it as one literal value."""
    if PLAIN.fullmatch(text) and text.upper() not in RESERVED:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def quote_name(name: str) -> str:
    """Return the name of a field with a backslash before each special character."""
    return re.sub(r"([^\w.-])", r"\\\1", name)


def read_pattern(text: str) -> Pattern:
    """Return the literal parts and wildcards of a word.

    A backslash makes the next character literal.
    """
    parts: list[str | Wild] = []
    literal = ""
    position = 0
    while position < len(text):
        char = text[position]
        if char == "\\" and position + 1 < len(text):
            position += 1
            literal += text[position]
        elif char in "*?":
            if literal:
                parts.append(literal)
                literal = ""
            wild = Wild(char)
            if wild is not Wild.MANY or parts[-1:] != [Wild.MANY]:
                parts.append(wild)  # two stars in a row mean the same as one
        else:
            literal += char
        position += 1
    if literal:
        parts.append(literal)
    return tuple(parts)
