"""A version as a key that sorts as text: 1.9 < 1.10 < 1.10.1, 2.0-rc1 < 2.0.

It is text because no index compares versions itself. The rule works for any text: a
leading ``v`` is dropped, digits and letters are components, everything else only
separates them, trailing zeros do not count (1.4 is 1.4.0), and the part after a hyphen
is a pre-release, which comes before the release.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TypeVar

from iotplatform.common.folding import fold

T = TypeVar("T")
# The kind of the next component, or the end, decides the order: the marks sort by it.
PRE_RELEASE, END, NUMBER_LOW, LETTERS, NUMBER_HIGH = "1", "2", "3", "4", "5"
COMPONENT = re.compile(r"[0-9]+|[^\W\d_]+|[^\W0-9a-zA-Z_]+")
PIECE = re.compile(rf"{COMPONENT.pattern}|(?P<separator>[\W_]+)")
SEPARATORS = " ._-+~/"
LONGEST_NUMBER = 99
FEWEST_COMPONENTS = 3  # 1.4 is spelt 1.4.0 as well, as most versions are


def version_key(text: str) -> str:
    """Return the sortable key: ASCII letters and digits only."""
    release, rest = _components(text)
    # In a release letters come before numbers (1.0b < 1.0.1); in a pre-release numbers
    # come first, as semver says (1.0-1 < 1.0-alpha).
    key = "".join(_component(text, number_mark=NUMBER_HIGH) for text in release)
    if rest is not None:
        key += PRE_RELEASE
        key += "".join(_component(text, number_mark=NUMBER_LOW) for text in rest)
    return "v" + key + END


def version_spellings(text: str) -> list[str]:
    """Return the texts that a wildcard is compared with; equal keys, equal texts.

    1.4 is 1.4.0, too, and rc1 is rc.1: a pattern may be written for any of them.
    """
    release, rest = _components(text)
    zeros = range(max(1, FEWEST_COMPONENTS - len(release) + 1))
    ends = [""] if rest is None else [f"-{_tight(rest)}", f"-{'.'.join(rest)}"]
    begins = [
        begin
        for padded in ([*release, *["0"] * count] for count in zeros)
        for begin in (_tight(padded), ".".join(padded))
    ]
    made = dict.fromkeys(f"{begin}{end}" for begin in begins for end in ends)
    return [spelling for spelling in made if spelling]


def normal_pattern(parts: Sequence[str | T]) -> tuple[str | T, ...]:
    """Return a pattern as it is compared with spellings; wildcards stay as they are."""
    made: list[str | T] = []
    in_release = True
    for place, part in enumerate(parts):
        if not isinstance(part, str):
            made.append(part)
            continue
        begins, ends = place == 0, place == len(parts) - 1
        literal = _drop_v(part) if begins else fold(part)
        literal = literal.lstrip(SEPARATORS) if begins else literal
        literal = literal.rstrip(SEPARATORS) if ends else literal
        text = ""
        for match in PIECE.finditer(literal):
            piece = match.group()
            is_whole = (match.start() > 0 or begins) and (
                match.end() < len(literal) or ends
            )
            if match.lastgroup == "separator":
                is_hyphen = in_release and "-" in piece
                text += "-" if is_hyphen else "."
                in_release = in_release and not is_hyphen
            else:
                # Beside a wildcard the number may go on: 1.0* is not 1.*.
                text += _normal_number(piece) if is_whole else piece
        made.append(text)
    return tuple(part for part in made if part != "")


def _components(text: str) -> tuple[list[str], list[str] | None]:
    """Return the components of the release, and those of the pre-release if any."""
    release, hyphen, rest = _drop_v(text).partition("-")
    components = [_normal_number(part) for part in COMPONENT.findall(release)]
    while components and components[-1] == "0":
        components.pop()
    rest_components = [_normal_number(part) for part in COMPONENT.findall(rest)]
    return components, rest_components if hyphen else None


def _drop_v(text: str) -> str:
    folded = fold(text).strip()
    return folded[1:] if re.match(r"v[0-9]", folded) else folded


def _normal_number(text: str) -> str:
    if not _is_number(text):
        return text
    return text.lstrip("0")[:LONGEST_NUMBER] or "0"


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _tight(components: Sequence[str]) -> str:
    """Join with a dot only where two numbers or two texts would become one."""
    text = ""
    for before, part in zip(["", *components], components, strict=False):
        is_joint = before and _is_number(before) == _is_number(part)
        text += f".{part}" if is_joint else part
    return text


def _component(text: str, *, number_mark: str) -> str:
    if _is_number(text):
        digits = text.removeprefix("0")
        return f"{number_mark}{len(digits):02d}{digits}"
    spelt = "".join(
        char if char.isascii() and char.isalnum() else f"x{ord(char):06x}"
        for char in text
    )
    return f"{LETTERS}{spelt}0"  # 0 ends the letters, and sorts before any letter
