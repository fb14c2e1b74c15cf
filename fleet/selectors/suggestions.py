"""What may be typed at a position of a query: fields, keys, operators and values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from fleet.backends.engine import IndexFault
from fleet.exceptions import IndexUnavailable, QueryError
from fleet.fields import FIELDS, RANGED, FieldRef, Kind
from fleet.query.cursor import COMPARISONS, Place, Role, place_at
from fleet.query.values import quote_name
from fleet.selectors.known_keys import known_keys
from fleet.selectors.suggested_values import (
    CountedText,
    list_named_values,
    list_values,
)
from iotplatform.common.folding import fold
from registry.models import Tenant

MOST_NAMES = 100  # without a letter to choose by: all fields, and most keys
MOST_FITTING = 20
OPERATORS = {
    "AND": "both conditions hold",
    "OR": "one of the conditions holds",
    "NOT": "the condition behind it does not hold",
}
COMPARED = {
    ">": "more than; for a time, after it",
    ">=": "at least",
    "<": "less than; for a time, before it",
    "<=": "at most",
}
KEY_HELP = {
    "attr": "Attribute of the device",
    "reported": "Key that the device reports",
    "metric": "Metric that the device sends",
}


class OptionKind(StrEnum):
    """What an option is."""

    FIELD = "field"
    KEY = "key"  # of attr., reported. or metric.
    VALUE = "value"
    OPERATOR = "operator"


@dataclass(frozen=True)
class Option:
    """A text that may stand at the position."""

    text: str
    kind: OptionKind
    count: int | None = None  # the total of the query with this value
    help: str = ""


@dataclass(frozen=True)
class Suggestions:
    """The part of the query that an option replaces, and the options."""

    begin: int
    end: int
    options: list[Option]


def suggest(*, tenants: Iterable[Tenant], q: str, at: int) -> Suggestions:
    """Return what may stand at this position; the best fit first.

    The query may be half typed: it is never refused. Raises IndexUnavailable.
    """
    tenants = list(tenants)
    place = place_at(q, at)
    try:
        options = _operators(place)
        if place.role is Role.NAME:
            options += _names(tenants, place)
            options += _as_options(list_named_values(tenants, place))
        elif place.field is not None and _is_known(tenants, place.field):
            values = _as_options(list_values(tenants, place))
            signs = _comparisons(place)
            is_measured = place.field.kind in (Kind.NUMBER, Kind.DATE)
            options += [*signs, *values] if is_measured else [*values, *signs]
    except IndexFault as fault:
        raise IndexUnavailable from fault
    return Suggestions(place.begin, place.end, options)


def _is_known(tenants: Sequence[Tenant], ref: FieldRef) -> bool:
    try:
        if ref.path:
            known_keys(tenants).check(ref)
    except QueryError:
        return False
    return True


def _fit(name: str, typed: str) -> int | None:
    """Return 0 if a name begins as typed, 1 if a word in it does, else None."""
    if name.startswith(typed):
        return 0
    words = re.split(r"[_.]", name)
    parts = (name[-len("_".join(words[n:])) :] for n in range(1, len(words)))
    return 1 if any(part.startswith(typed) for part in parts) else None


def _operators(place: Place) -> list[Option]:
    if place.role is Role.RANGE:
        offered = {"TO": "to the other end of the range"}
    elif place.is_after_condition:
        offered = OPERATORS
    elif place.role is Role.BOUND or place.query[: place.begin].rstrip().endswith(
        ("NOT", ":")
    ):
        return []
    else:
        offered = {"NOT": OPERATORS["NOT"]} if place.typed else {}
    return [
        Option(word, OptionKind.OPERATOR, help=text)
        for word, text in offered.items()
        if word.startswith(place.typed.upper())
    ]


def _comparisons(place: Place) -> list[Option]:
    """Return the signs of a range, before anything is typed."""
    if place.role is not Role.VALUE or place.field is None or place.is_after_condition:
        return []
    if place.field.kind not in RANGED or place.begin != place.end:
        return []
    return [
        Option(sign, OptionKind.OPERATOR, help=COMPARED[sign])
        for sign in sorted(COMPARISONS)
    ]


def _names(tenants: Sequence[Tenant], place: Place) -> list[Option]:
    """Return the fields and whole keys that fit: those that begin so come first."""
    typed = fold(place.typed)
    ranked: list[tuple[int, Option]] = []
    for field in FIELDS:
        if field.kind is Kind.JSON:
            continue
        fits = [_fit(name, typed) for name in (field.name, *field.aliases)]
        known = [fit for fit in fits if fit is not None]
        if known:
            option = Option(field.name, OptionKind.FIELD, help=field.help)
            ranked.append((min(known), option))
    for where, keys in known_keys(tenants).declared.items():
        for key in sorted(keys):
            ref = FieldRef(where, key)
            if (fit := _fit(fold(str(ref)), typed)) is not None:
                name = quote_name(str(ref))
                option = Option(name, OptionKind.KEY, help=KEY_HELP[where])
                ranked.append((fit, option))
    ranked.sort(key=lambda row: row[0])  # else in the order of the fields
    most = MOST_FITTING if typed else MOST_NAMES
    return [option for _, option in ranked[:most]]


def _as_options(found: Iterable[CountedText]) -> list[Option]:
    return [Option(row.text, OptionKind.VALUE, row.count, row.help) for row in found]
