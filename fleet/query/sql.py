"""Syntax tree → SQL over columns that have the names of the fields.

Conditions on texts are judged in Python, once for each value that there is, so that SQL
only compares texts and folds nothing by itself. A condition is never NULL, because NOT
would lose it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fleet.fields import Kind
from fleet.query.judge import holds
from fleet.query.tree import (
    All,
    And,
    Between,
    Condition,
    Equals,
    Exists,
    Like,
    Node,
    Not,
    Or,
    Wild,
)

Values = Mapping[str, Iterable[str]]
LIKE_ESCAPES = str.maketrans({"\\": r"\\", "%": r"\%", "_": r"\_"})
LIKE_WILDS = {Wild.MANY: "%", Wild.ONE: "_"}


class SqlCompiler:
    """Collects the parameters of the conditions that it writes."""

    def __init__(self, values: Values) -> None:
        self._values = values  # of each text field but uid: the values that there are
        self.params: dict[str, Any] = {}

    def condition(self, node: Node) -> str:
        """Return the SQL of a tree."""
        match node:
            case All():
                return "TRUE"
            case And(items) | Or(items):
                joint = " AND " if isinstance(node, And) else " OR "
                return f"({joint.join(self.condition(item) for item in items)})"
            case Not(item):
                return f"NOT {self.condition(item)}"
            case _:
                return f"coalesce({self._of_column(node)}, FALSE)"

    def _of_column(self, node: Condition) -> str:
        assert node.field is not None
        column, kind = node.field.name, node.field.kind
        if isinstance(node, Exists):
            return f"{column} IS NOT NULL"
        if kind is Kind.NUMBER:
            return self._number(node, column)
        if column in self._values:
            found = [value for value in self._values[column] if holds(node, value)]
            return f"{column} = ANY({self._param(found)}::text[])"
        return self._uid(node, column)

    def _uid(self, node: Condition, column: str) -> str:
        """Compare in SQL: there are as many values as devices, and case counts."""
        if isinstance(node, Like):
            pattern = "".join(
                LIKE_WILDS[part]
                if isinstance(part, Wild)
                else part.translate(LIKE_ESCAPES)
                for part in node.pattern
            )
            return f"{column} LIKE {self._text(pattern)}"
        assert isinstance(node, Equals)
        return f"{column} = {self._text(str(node.value))}"

    def _number(self, node: Condition, column: str) -> str:
        if isinstance(node, Equals):
            return f"{column} = {self._param(node.value)}::float8"
        assert isinstance(node, Between)
        ends = []
        if node.low is not None:
            sign = ">=" if node.has_low else ">"
            ends.append(f"{column} {sign} {self._param(node.low)}::float8")
        if node.high is not None:
            sign = "<=" if node.has_high else "<"
            ends.append(f"{column} {sign} {self._param(node.high)}::float8")
        return f"({' AND '.join(ends)})"

    def _text(self, text: str) -> str:
        # PostgreSQL has no text with this character.
        return "NULL" if "\0" in text else self._param(text)

    def _param(self, value: Any) -> str:
        name = f"q{len(self.params)}"
        self.params[name] = value
        return f"%({name})s"
