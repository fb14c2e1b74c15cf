"""What an index keeps of a value: what is compared, its order, its words, its places.

Every form is made here, once, so that all indexes agree: they store these texts as
opaque keywords and run no analyzer of their own.
"""

from __future__ import annotations

import re
import struct
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, TypeVar

from fleet.fields import Field, FieldRef, Kind
from iotplatform.common.folding import fold
from iotplatform.common.version_key import (
    normal_pattern,
    version_key,
    version_spellings,
)

T = TypeVar("T")

FORMS_VERSION = f"1-{unicodedata.unidata_version}"  # raise it when a form changes
LONGEST_SORT_KEY = 96  # characters of a value; the device id orders the rest
# Scripts without spaces between words: Thai, Lao, Tibetan, Burmese, Khmer, kana, Han.
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
SIGN_BIT, ALL_BITS = 1 << 63, (1 << 64) - 1
LOWEST_NUMBER, HIGHEST_NUMBER = "0" * 16, "f" * 16  # below and above every number
ASCII_WORD = re.compile(r"[a-z0-9]+")
NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")


def equal_form(field: Field, text: str) -> str:
    """Return what is compared of a value, and of a query for it."""
    if field.is_exact:
        return text
    return version_key(text) if field.kind is Kind.VERSION else fold(text)


def sort_form(field: Field, text: str) -> str:
    """Return text that sorts as the value does: letters and digits only.

    Some engines accept no other characters in a range of texts.
    """
    if field.kind is Kind.VERSION:
        return version_key(text)
    return "s" + fold(text)[:LONGEST_SORT_KEY].encode().hex()


def number_form(number: float) -> str:
    """Return the text by which numbers are compared; 0 and -0 are one."""
    return f"#{float(number) + 0.0!r}"


def sortable_number(number: float) -> str:
    """Return text that sorts as the number does; 0 and -0 are one.

    These are the bits of the float: a positive number gets the first one, and of a
    negative one all are turned round.
    """
    (bits,) = struct.unpack(">Q", struct.pack(">d", float(number) + 0.0))
    return f"{bits ^ ALL_BITS if bits & SIGN_BIT else bits | SIGN_BIT:016x}"


def number_of(text: str) -> float:
    """Return the number of a sortable text."""
    bits = int(text, 16)
    bits = bits ^ SIGN_BIT if bits & SIGN_BIT else bits ^ ALL_BITS
    (number,) = struct.unpack(">d", struct.pack(">Q", bits))
    return float(number)


def scalar_form(value: str | float | bool) -> str:
    """Return what is compared of a value of any type; "5.0" and 5 are one."""
    if isinstance(value, bool):
        return "=true" if value else "=false"
    if isinstance(value, str):
        number = as_number(value)
        return f"={fold(value)}" if number is None else number_form(number)
    return number_form(value)


def value_form(ref: FieldRef, value: Any) -> Any:
    """Return what a query compares of a counted value: equal ones are one to it."""
    if ref.kind is Kind.JSON:
        return scalar_form(value)
    return equal_form(ref.field, value) if isinstance(value, str) else value


def as_number(text: str) -> float | None:
    """Return a text as a finite number; None if it is not one."""
    folded = fold(text)
    if not NUMBER.fullmatch(folded):
        return None
    number = float(folded)
    return number if abs(number) != float("inf") else None


def pattern_forms(field: Field, text: str) -> list[str]:
    """Return the texts that a pattern is compared with; one that fits is enough."""
    if field.kind is Kind.VERSION:
        return version_spellings(text)
    return [equal_form(field, text)]


def pattern_form(field: Field | None, parts: Sequence[str | T]) -> tuple[str | T, ...]:
    """Return a pattern as it is compared with these texts, or with words."""
    if field is not None and field.kind is Kind.VERSION:
        return normal_pattern(parts)
    is_exact = field is not None and field.is_exact
    return tuple(
        fold(part) if isinstance(part, str) and not is_exact else part for part in parts
    )


def places_of(path: str) -> list[str]:
    """Return a path and every path above it; each of them finds the device."""
    steps = path.split("/")
    return ["/".join(steps[:count]) for count in range(1, len(steps) + 1)]


def words_of(text: str) -> list[str]:
    """Return the words of a text: letters, digits and marks between anything else."""
    folded = fold(text)
    if folded.isascii():
        return ASCII_WORD.findall(folded)
    marked = "".join(char if _is_of_a_word(char) else " " for char in folded)
    return marked.split()


def indexed_tokens(words: Sequence[str]) -> list[str]:
    """Return the tokens by which words are found, in their order.

    A run of a script without spaces has a token at each character: the character and
    the one after it, if there is one (上海浦 → 上海 海浦 浦). All else is one token.
    """
    if all(map(str.isascii, words)):
        return list(words)
    return [token for run in _runs(words) for token in _tokens(run)]


def first_tokens(tokens: Iterable[str]) -> list[str]:
    """Return the tokens, those of scripts without spaces cut to their first character.

    That is what a token is compared with of which only the start is known.
    """
    return [token[0] if UNSPACED.match(token) else token for token in tokens]


def searched_tokens(words: Iterable[str]) -> tuple[list[str], bool]:
    """Return the tokens to search for in sequence; whether the last is only a start."""
    *before, last = list(_runs(words))
    tokens = [token for run in before for token in _tokens(run)]
    if not UNSPACED.match(last):
        return [*tokens, last], False
    if len(last) == 1:
        return [*tokens, last], True  # whatever character follows it
    return [*tokens, *_tokens(last)[:-1]], False


def _tokens(run: str) -> list[str]:
    if not UNSPACED.match(run):
        return [run]
    return [run[place : place + 2] for place in range(len(run))]


def _runs(words: Iterable[str]) -> Iterator[str]:
    """Yield the parts of words that are in scripts with spaces, or in ones without."""
    for word in words:
        for _, chars in groupby(word, lambda char: bool(UNSPACED.match(char))):
            yield "".join(chars)


def _is_of_a_word(char: str) -> bool:
    return unicodedata.category(char)[0] in "LNM"
