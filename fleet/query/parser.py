"""Query text → syntax tree: luqum reads Lucene's syntax, we give it types."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from luqum import tree as luqum_tree
from luqum.exceptions import ParseError

from fleet.exceptions import QueryError
from fleet.fields import PATTERNED, RANGED, FieldRef, Kind, resolve_field
from fleet.normal_forms import words_of
from fleet.query import lucene
from fleet.query.keys import Keys
from fleet.query.source import OPERATORS, Source
from fleet.query.tree import (
    All,
    And,
    Between,
    Equals,
    Exists,
    Like,
    Node,
    Not,
    Or,
    Value,
    Wild,
    WordLike,
    Words,
)
from fleet.query.values import check_pattern, read_bound, read_pattern, read_value

LONGEST_QUERY = 4_000  # characters; a person's query is under 500
DEEPEST_QUERY = 32  # levels of nested parentheses and operators
MOST_CONDITIONS = 256
MOST_WILDCARDS = 16  # in one word: each makes the index's automaton larger
LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
UNSUPPORTED = {
    luqum_tree.Boost: "Boosting (^) has no meaning here: results are not ranked.",
    luqum_tree.Fuzzy: "Fuzzy search (~) is not supported; use a wildcard: abc*.",
    luqum_tree.Proximity: "Proximity (~) is not supported; use a phrase.",
    luqum_tree.Regex: "Regular expressions are not supported; use a wildcard: abc*.",
}


def parse(text: str, keys: Keys | None = None) -> Node:
    """Return the tree of a query; raises QueryError with the position.

    With ``keys``, a key that is not among them is refused, too.
    """
    source, root = read_source(text)
    return Reader(source, keys).node(root, None, 0)


def read_source(text: str) -> tuple[Source, luqum_tree.Item]:
    """Return a query's text and luqum's tree of it; raises QueryError."""
    if not text.strip():
        raise QueryError("The query is empty; * finds every device.", 0)
    if len(text) > LONGEST_QUERY:
        raise QueryError(
            f"The query is longer than {LONGEST_QUERY} characters.", LONGEST_QUERY
        )
    if (bad := LONE_SURROGATE.search(text)) is not None:
        raise QueryError("This is not a character.", bad.start())
    source = Source(text)
    try:
        return source, lucene.parse(source.prepared)
    except ParseError as error:
        raise source.explained(str(error)) from error
    except (ValueError, ArithmeticError) as error:
        # Something that is not a number behind ~ or ^; both are refused anyway.
        raise QueryError("A number is expected behind ~ or ^.", 0) from error


class Reader:
    """Turns luqum's nodes into ours, within the bounds."""

    def __init__(self, source: Source, keys: Keys | None = None) -> None:
        self.source = source
        self.keys = keys
        self.conditions = 0

    def node(self, item: Any, field: FieldRef | None, depth: int) -> Node:
        """Return our node for luqum's; ``field`` is set inside ``field:( … )``."""
        position = self.source.position(item)
        if depth > DEEPEST_QUERY:
            raise QueryError(
                f"The query is nested deeper than {DEEPEST_QUERY}.", position
            )
        if (refusal := UNSUPPORTED.get(type(item))) is not None:
            raise QueryError(refusal, position)
        if isinstance(item, luqum_tree.Prohibit | luqum_tree.Plus):
            raise self.source.sign_refused(position)
        readers: dict[type, Callable[[Any, FieldRef | None, int], Node]] = {
            luqum_tree.AndOperation: self._operation,
            luqum_tree.OrOperation: self._operation,
            luqum_tree.UnknownOperation: self._operation,
            luqum_tree.Group: self._inner,
            luqum_tree.FieldGroup: self._inner,
            luqum_tree.Not: self._negation,
            luqum_tree.SearchField: self._search_field,
        }
        if (reader := readers.get(type(item))) is not None:
            return reader(item, field, depth + 1)
        if isinstance(item, luqum_tree.Word):
            self._refuse_operator(item.value, position)
        return self._counted_condition(item, field, position)

    def _refuse_operator(self, word: str, position: int) -> None:
        if (meant := word.upper()) in OPERATORS:
            raise QueryError(
                f"Write {meant} in capitals, or the word in quotes.", position, meant
            )

    def _counted_condition(
        self, item: Any, field: FieldRef | None, position: int
    ) -> Node:
        self.conditions += 1
        if self.conditions > MOST_CONDITIONS:
            raise QueryError(
                f"The query has more than {MOST_CONDITIONS} conditions.", position
            )
        return self._condition(item, field, position)

    def _operation(self, item: Any, field: FieldRef | None, depth: int) -> Node:
        items = tuple(self.node(child, field, depth) for child in item.operands)
        return Or(items) if isinstance(item, luqum_tree.OrOperation) else And(items)

    def _inner(self, item: Any, field: FieldRef | None, depth: int) -> Node:
        return self.node(item.children[0], field, depth)

    def _negation(self, item: Any, field: FieldRef | None, depth: int) -> Node:
        return Not(self.node(item.children[0], field, depth))

    def _search_field(self, item: Any, field: FieldRef | None, depth: int) -> Node:
        position = self.source.position(item)
        if field is not None:
            raise QueryError(f"{field}: already names the field here.", position)
        if self.source.begins_with_sign(position):
            raise self.source.sign_refused(position)
        name = unescaped(item.name)
        if name == "*" and _is_star(item.expr):
            return All()
        ref = resolve_field(name, position=position)
        expr = item.expr
        if self.keys is not None and ref.path:
            self.keys.check(ref, position=position, is_existence=_is_star(expr))
        if isinstance(expr, luqum_tree.Word):  # right after the colon, "and" is a value
            return self._counted_condition(expr, ref, self.source.position(expr))
        return self.node(expr, ref, depth)

    def _condition(self, item: Any, field: FieldRef | None, position: int) -> Node:
        if isinstance(item, luqum_tree.Word):
            return self._word(item.value, field, position)
        if isinstance(item, luqum_tree.Phrase):
            return literal_condition(unescaped(item.value[1:-1]), field, position)
        if field is None:
            raise QueryError("A range or comparison needs a field: risk:>50.", position)
        if isinstance(item, luqum_tree.Range):
            return self._range(
                field,
                (item.low, item.include_low),
                (item.high, item.include_high),
                position,
            )
        if isinstance(item, luqum_tree.From):
            return self._range(field, (item.a, item.include), None, position)
        if isinstance(item, luqum_tree.To):
            return self._range(field, None, (item.a, item.include), position)
        raise QueryError("This cannot stand here.", position)

    def _word(self, raw: str, field: FieldRef | None, position: int) -> Node:
        if field is None and self.source.begins_with_sign(position):
            raise self.source.sign_refused(position)
        pattern = read_pattern(raw)
        if not any(isinstance(part, Wild) for part in pattern):
            return literal_condition("".join(map(str, pattern)), field, position)
        if sum(isinstance(part, Wild) for part in pattern) > MOST_WILDCARDS:
            raise QueryError(
                f"More than {MOST_WILDCARDS} wildcards in a word.", position
            )
        if pattern == (Wild.MANY,):
            return All() if field is None else Exists(field, position)
        if field is None:
            return WordLike(pattern, None, position)
        if field.kind not in PATTERNED:
            raise QueryError(
                f"{field} is a {field.kind} field: it takes no wildcard.", position
            )
        if field.kind is Kind.TEXT:
            return WordLike(pattern, field, position)
        check_pattern(field, pattern, position)
        return Like(field, pattern, position)

    def _range(
        self,
        field: FieldRef,
        low: tuple[Any, bool] | None,
        high: tuple[Any, bool] | None,
        position: int,
    ) -> Node:
        if field.kind not in RANGED:
            raise QueryError(
                f"{field} is a {field.kind} field: it takes no range.", position
            )
        lower, has_low = self._end(field, low)
        upper, has_high = self._end(field, high)
        if lower is None and upper is None:
            return Exists(field, position)
        return Between(field, lower, upper, has_low, has_high, position)

    def _end(
        self, field: FieldRef, end: tuple[Any, bool] | None
    ) -> tuple[Value | None, bool]:
        """Return an end of a range; an open one counts as included."""
        if end is None or _is_star(end[0]):
            return None, True
        text, position = self._bound_text(end[0])
        return read_bound(field, text, position), end[1]

    def _bound_text(self, item: Any) -> tuple[str, int]:
        position = self.source.position(item)
        if isinstance(item, luqum_tree.Phrase):
            return unescaped(item.value[1:-1]), position
        if not isinstance(item, luqum_tree.Word):
            raise QueryError("A single value is expected here.", position)
        pattern = read_pattern(item.value)
        if any(isinstance(part, Wild) for part in pattern):
            raise QueryError("A range takes no wildcard.", position)
        return "".join(map(str, pattern)), position


def literal_condition(text: str, field: FieldRef | None, position: int) -> Node:
    """Return the condition that a field has this value, without wildcards."""
    if field is not None and field.kind is not Kind.TEXT:
        return Equals(field, read_value(field, text, position), position)
    words = tuple(words_of(text))
    if not words:
        raise QueryError("There is no word to search for here.", position)
    return Words(words, field, position)


def _is_star(item: Any) -> bool:
    return isinstance(item, luqum_tree.Word) and item.value == "*"


def unescaped(text: str) -> str:
    """Return the text without the backslashes that make characters literal."""
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
