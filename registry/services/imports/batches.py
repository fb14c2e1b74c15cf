"""Rows of a file in batches, column by column, for checks that concern many rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from registry.services.imports.decoding import Errors

BATCH = 1_000  # rows: enough to share the costs of a batch, and little memory


@dataclass(slots=True)
class Row:
    """The fields of one line; an empty cell is left out."""

    line: int
    given: dict[str, Any] = field(default_factory=dict)
    # Attributes from columns of their own, as text.
    cells: dict[str, str] = field(default_factory=dict)
    errors: Errors = field(default_factory=list)


@dataclass(slots=True)
class Batch:
    """Some rows, in the order of their lines."""

    lines: list[int]
    # Of each column that the file has, as text or as keys that tell values apart.
    columns: Mapping[str, Sequence[Any]]
    row: Callable[[int], Row]  # one of them, by its place
    nothing: str | None  # what stands where nothing is given
    wrong: list[Row] = field(default_factory=list)  # further rows, with errors

    def column(self, name: str) -> Sequence[Any]:
        """Return the values of a field, whether the file has it or not."""
        return self.columns.get(name) or [self.nothing] * len(self.lines)

    def rows(self) -> list[Row]:
        """Return all rows by line."""
        rows = [*self.wrong, *map(self.row, range(len(self.lines)))]
        return sorted(rows, key=lambda row: row.line)
