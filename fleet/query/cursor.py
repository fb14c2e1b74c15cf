"""What may stand at a position of a query, which may be half typed or wrong elsewhere.

The parser itself says it: a word is put in at the position, what is still open behind
it is closed, and the parser's reader tells how it read that word.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product
from typing import Any

from fleet.exceptions import QueryError
from fleet.fields import FieldRef
from fleet.query.parser import Reader, read_source, unescaped
from fleet.query.source import Source, written_end, written_values
from fleet.query.tree import All, Node, Value
from fleet.query.values import read_pattern

HOLE = "hole"  # a word like any other
COMPARISONS = ("<=", ">=", "<", ">")
MOST_TRIED = 24  # beginnings of a wrong query that are left out, one after the other
END_OF_RANGE = {"[": "]", "{": "}"}


class Role(StrEnum):
    """What a word at the position is to the parser."""

    NAME = "name"  # the name of a field, or a bare word
    VALUE = "value"  # of a field
    BOUND = "bound"  # an end of a range
    RANGE = "range"  # between the ends of a range, where TO is missing


@dataclass(frozen=True)
class Place:
    """A position in a query: what is replaced there, and by what."""

    query: str
    begin: int
    end: int
    typed: str  # the value or name as far as it is written
    role: Role = Role.NAME
    field: FieldRef | None = None  # of a value or bound
    closing: str = ""  # what must follow, so that nothing stays open
    is_after_condition: bool = False  # so that an operator may stand here
    is_whole: bool = True  # nothing had to be left out to understand it

    def filled(self, text: str) -> str:
        """Return the query with this text at the position."""
        return f"{self.query[: self.begin]}{text}{self.query[self.end :]}"

    def closed(self, text: str) -> str:
        """Return the text with what must follow it here."""
        return text + self.closing


@dataclass(frozen=True)
class _Opened:
    """A parenthesis or bracket that is open at the position."""

    char: str
    words: int  # written since

    @property
    def closing(self) -> str:
        if self.char == "(":
            return ")"
        end = END_OF_RANGE[self.char]
        return end if self.words >= 2 else f" TO *{end}"


def place_at(query: str, at: int) -> Place:
    """Return what stands, and may stand, at a position of any text."""
    begin, end = _word_at(query, at)
    place = Place(query, begin, end, _literal(query[begin:at]))
    opened = _opened(query[:begin])
    is_apart = begin == 0 or query[begin - 1].isspace()
    if opened and opened[0].char in END_OF_RANGE and opened[0].words == 1 and is_apart:
        return replace(place, role=Role.RANGE, is_after_condition=True)
    closings = [
        "".join(row.closing for row in opened[:count])
        for count in range(len(opened) + 1)
    ]
    # What follows a quote that is not closed is more likely the rest of the query.
    is_open = query[begin : begin + 1] == '"' and written_end(query, begin) == begin
    ends = dict.fromkeys([at, end] if is_open else [end, at])
    for start, is_whole in _starts(query, begin):
        for stop, closing in product(ends if is_whole else [len(query)], closings):
            text = f"{query[start:begin]}{HOLE}{closing}{query[stop:]}"
            if (found := _read(text, begin - start)) is None:
                continue
            return replace(
                place,
                end=stop if is_whole else end,
                role=found.role or Role.NAME,
                field=found.found_field,
                closing=closing,
                is_after_condition=is_apart
                and _is_complete(query[start:begin], closings[-1]),
                is_whole=is_whole,
            )
    return replace(place, role=Role.VALUE, is_whole=False)  # of an unknown field


class _HoleReader(Reader):
    """Finds the role of the word at a position; what is wrong elsewhere is left out."""

    def __init__(self, source: Source, hole: int) -> None:
        super().__init__(source)
        self.hole = hole
        self.role: Role | None = None
        self.found_field: FieldRef | None = None

    def _is_hole(self, item: Any, word: str) -> bool:
        # What follows the position may have grown together with the word.
        return word == HOLE and self.source.position(item) == self.hole

    def _search_field(self, item: Any, field: FieldRef | None, depth: int) -> Node:
        if self._is_hole(item, item.name):
            self.role = Role.NAME
            return All()
        try:
            return super()._search_field(item, field, depth)
        except QueryError:
            return All()

    def _condition(self, item: Any, field: FieldRef | None, position: int) -> Node:
        if self._is_hole(item, getattr(item, "value", "")):
            self.role = Role.NAME if field is None else Role.VALUE
            self.found_field = field
            return All()
        try:
            return super()._condition(item, field, position)
        except QueryError:
            return All()

    def _end(
        self, field: FieldRef, end: tuple[Any, bool] | None
    ) -> tuple[Value | None, bool]:
        if end is not None and self._is_hole(end[0], getattr(end[0], "value", "")):
            self.role, self.found_field = Role.BOUND, field
            return None, True
        return super()._end(field, end)


def _read(text: str, hole: int) -> _HoleReader | None:
    """Return how the parser reads the word at this position; None if it cannot."""
    try:
        source, root = read_source(text)
        reader = _HoleReader(source, hole)
        reader.node(root, None, 0)
    except QueryError:
        return None
    return reader if reader.role is not None else None


def _is_complete(text: str, closing: str) -> bool:
    """Whether a condition ends here, so that another one or an operator may follow."""
    if not text.strip() or text.rstrip().endswith(":"):
        return False
    try:
        read_source(text + closing)
    except QueryError:
        return False
    return True


def _starts(query: str, begin: int) -> Iterator[tuple[int, bool]]:
    """Yield where reading may start: at the beginning, else at each word of the end."""
    yield 0, True
    words = [start for start, _ in written_values(query[:begin])]
    for start in words[-MOST_TRIED:]:
        yield start, False
    if not query[:begin].rstrip().endswith(":"):  # else of a field that is unknown
        yield begin, False


def _word_at(query: str, at: int) -> tuple[int, int]:
    """Return where the word or quoted text at the position begins and ends."""
    found = at, at
    for begin, end in written_values(query):
        if begin > at:
            break
        if begin < at <= end or begin == at:
            found = begin, end
            if begin < at:
                break
    begin, end = found
    if begin and query[begin - 1] == ":":
        mark = next((m for m in COMPARISONS if query.startswith(m, begin)), "")
        if begin + len(mark) <= at:
            begin += len(mark)
    return begin, end


def _opened(text: str) -> list[_Opened]:
    """Return what is open at the end of a text, the innermost first."""
    words = list(written_values(text))
    inside = {place for begin, end in words for place in range(begin, end)}
    stack: list[tuple[str, int]] = []
    for place, char in enumerate(text):
        if place in inside:
            continue
        if char in "([{":
            stack.append((char, place))
        elif char in ")]}" and stack:
            stack.pop()
    return [
        _Opened(char, sum(begin > place for begin, _ in words))
        for char, place in reversed(stack)
    ]


def _literal(written: str) -> str:
    """Return the value of a text as far as it is written, up to its first wildcard."""
    if written.startswith('"'):
        inner = written[1:]
        return unescaped(inner[:-1] if inner.endswith('"') else inner)
    pattern = read_pattern(written)
    return pattern[0] if pattern and isinstance(pattern[0], str) else ""
