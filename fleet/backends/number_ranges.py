"""Ranges over numbers below JSON fields, in the syntax of tantivy's own parser.

That parser is the only way to a range below a JSON field. It gives each end a type on
its own: a whole number becomes an integer if an integer type can hold it. If the types
of the two ends differ, tantivy panics. Two half-open ranges are no way out: in a list
of values, one value could satisfy the lower end and another the upper end. So an end
moves to the neighbouring float, with the other kind of bracket, where that gives it the
type of its zone; the range stays the same. A range over several zones is split.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal

# From here on every float is whole; below, the neighbour of a whole one never is.
WHOLE = 2.0**52
# Where the next type begins: float, i64, float, i64, u64, float.
ZONES = (
    -(2.0**63),
    math.nextafter(-WHOLE, math.inf),
    WHOLE,
    2.0**63,
    math.nextafter(2.0**64, math.inf),
)


def number_ranges(
    low: float | None, high: float | None, has_low: bool, has_high: bool
) -> Iterator[str]:
    """Yield ranges that together cover what lies between the ends; None is open.

    A value lies between the ends exactly when it lies in one of them.
    """
    if low is None or high is None:
        yield _range(low, high, has_low, has_high)
        return
    if low > high:
        return
    for start in ZONES:
        if low < start <= high:
            yield _range(low, math.nextafter(start, -math.inf), has_low, True)
            low, has_low = start, True
    yield _range(low, high, has_low, has_high)


def _range(low: float | None, high: float | None, has_low: bool, has_high: bool) -> str:
    lower, has_low = _end(low, has_low, -math.inf)
    upper, has_high = _end(high, has_high, math.inf)
    return f"{'{['[has_low]}{lower} TO {upper}{'}]'[has_high]}"


def _end(value: float | None, included: bool, outwards: float) -> tuple[str, bool]:
    """Return an end in digits (the parser reads no exponent) and if it is included."""
    if value is None:
        return "*", True
    if abs(value) >= WHOLE:
        return format(Decimal(value), "f"), included
    if value.is_integer():
        value = math.nextafter(value, outwards if included else -outwards)
        included = not included
    return format(Decimal(repr(value)), "f"), included
