"""The syntax tree of a query: typed, and independent of any index.

A position is where the node begins in the query's text; it does not count when two
trees are compared.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import TypeAlias

from fleet.fields import FieldRef


class Wild(Enum):
    """A wildcard in a pattern."""

    MANY = "*"  # any characters, or none
    ONE = "?"  # any one character


Pattern: TypeAlias = tuple[str | Wild, ...]


@dataclass(frozen=True)
class RelativeTime:
    """``now``, or a time before or after it; resolved when the query runs."""

    offset: timedelta = timedelta()
    text: str = dataclasses.field(default="now", compare=False)


@dataclass(frozen=True)
class Day:
    """A whole day, UTC: ``since:2026-11-20`` is any time of it."""

    start: datetime


Moment: TypeAlias = datetime | RelativeTime | Day
Value: TypeAlias = str | float | bool | Moment


@dataclass(frozen=True)
class All:
    """``*``: every device."""


@dataclass(frozen=True)
class And:
    """All of these hold."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Or:
    """At least one of these holds."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Not:
    """This does not hold."""

    item: Node


@dataclass(frozen=True)
class Words:
    """These words in sequence in a text field; in any one if ``field`` is None."""

    words: tuple[str, ...]
    field: FieldRef | None = None
    position: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True)
class WordLike:
    """A word that fits this pattern in a text field, or in any if ``field`` is None."""

    pattern: Pattern
    field: FieldRef | None = None
    position: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True)
class Equals:
    """The field has this value (one of its values, where it holds several)."""

    field: FieldRef
    value: Value
    position: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True)
class Like:
    """The whole text of the field fits this pattern."""

    field: FieldRef
    pattern: Pattern
    position: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True)
class Between:
    """The value of the field lies between two ends; None is an open end."""

    field: FieldRef
    low: Value | None
    high: Value | None
    has_low: bool = True
    has_high: bool = True
    position: int = dataclasses.field(default=0, compare=False)


@dataclass(frozen=True)
class Exists:
    """The field has a value."""

    field: FieldRef
    position: int = dataclasses.field(default=0, compare=False)


Condition: TypeAlias = "Words | WordLike | Equals | Like | Between | Exists"
Node: TypeAlias = (
    "All | And | Or | Not | Words | WordLike | Equals | Like | Between | Exists"
)


def conditions_of(node: Node) -> Iterator[Condition]:
    """Yield every condition of a tree, those under NOT as well."""
    match node:
        case All():
            return
        case And(items) | Or(items):
            for item in items:
                yield from conditions_of(item)
        case Not(item):
            yield from conditions_of(item)
        case _:
            yield node
