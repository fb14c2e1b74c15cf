"""Whether a condition holds for one value: the language without an index.

Dates, paths, words and keys are left out: nobody asks for the past of these.
"""

from __future__ import annotations

import re
from typing import Any

from fleet.fields import Kind
from fleet.normal_forms import equal_form, pattern_form, pattern_forms
from fleet.query.tree import (
    Between,
    Condition,
    Equals,
    Exists,
    Like,
    Pattern,
    Wild,
    WordLike,
    Words,
)
from iotplatform.common.version_key import version_key


def holds(condition: Condition, value: str | float | None) -> bool:
    """Whether the condition holds for a device whose field has this value."""
    if value is None:
        return False
    match condition:
        case Exists():
            return True
        case Equals(ref, wanted):
            if isinstance(value, str):
                return equal_form(ref.field, value) == equal_form(
                    ref.field, str(wanted)
                )
            return bool(value == wanted)
        case Like(ref, pattern):
            wanted_form = pattern_form(ref.field, pattern)
            texts = pattern_forms(ref.field, str(value))
            return any(fits(wanted_form, text) for text in texts)
        case Between():
            return _lies_between(condition, value)
        case Words() | WordLike():
            raise TypeError("Words are conditions of several fields.")


def fits(pattern: Pattern, text: str) -> bool:
    """Whether a whole text fits; in time that grows with the text, not faster."""
    chunks = [""]
    for part in pattern:
        if part is Wild.MANY:
            chunks.append("")
        else:
            chunks[-1] += "." if isinstance(part, Wild) else re.escape(part)
    first, *rest = chunks
    if not rest:
        return re.fullmatch(first, text, re.DOTALL) is not None
    *middle, last = rest
    # Atomic groups: the first place where a chunk fits is as good as any later one.
    expression = first + "".join(f"(?>.*?{chunk})" for chunk in middle)
    return re.fullmatch(f"{expression}.*{last}", text, re.DOTALL) is not None


def _lies_between(condition: Between, value: str | float) -> bool:
    def form(end: Any) -> Any:
        is_version = condition.field.kind is Kind.VERSION
        return version_key(str(end)) if is_version else end

    actual = form(value)
    if condition.low is not None:
        low = form(condition.low)
        if not (actual > low or (condition.has_low and actual == low)):
            return False
    if condition.high is not None:
        high = form(condition.high)
        if not (actual < high or (condition.has_high and actual == high)):
            return False
    return True
