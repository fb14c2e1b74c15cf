"""Ranges over numbers of free keys, in the words of tantivy's own parser.

That parser is the only way to a range below a JSON field. It types each end by itself,
a whole number as an integer if one can hold it, and tantivy panics where the two ends
are of different types. Two half ranges would not do instead: of a list of values, one
could satisfy the lower end and another the upper. So an end is moved by nothing (to the
neighbour that the other kind of bracket leaves out) where that gives it the type of its
zone, and a range over several zones is the sum of its parts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal

# From here on every float is a whole number; below, the neighbour of one never is.
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
    """Yield ranges that together hold what lies between the ends; an end may be open.

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
    """Return an end in digits, as the parser reads no exponent, and its bracket."""
    if value is None:
        return "*", True
    if abs(value) >= WHOLE:
        return format(Decimal(value), "f"), included
    if value.is_integer():
        value = math.nextafter(value, outwards if included else -outwards)
        included = not included
    return format(Decimal(repr(value)), "f"), included
