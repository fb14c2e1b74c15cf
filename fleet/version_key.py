"""A version as a key that sorts as text: 1.9 < 1.10 < 1.10.1, 2.0-rc1 < 2.0.

It is text because no index compares versions itself. The rule works for any text: a
leading ``v`` is dropped, digits and letters are components, everything else only
separates them, trailing zeros do not count (1.4 is 1.4.0), and the part after a hyphen
is a pre-release, which comes before the release.
"""

from __future__ import annotations

import re

# The kind of the next component, or the end, decides the order: the marks sort by it.
PRE_RELEASE, END, NUMBER_LOW, LETTERS, NUMBER_HIGH = "1", "2", "3", "4", "5"
COMPONENT = re.compile(r"[0-9]+|[^\W\d_]+|[^\W0-9a-zA-Z_]+")
LONGEST_NUMBER = 99


def version_key(text: str) -> str:
    """Return the sortable key: ASCII letters and digits only."""
    lowered = text.strip().lower()
    if re.match(r"v[0-9]", lowered):
        lowered = lowered[1:]
    release, hyphen, rest = lowered.partition("-")
    components = COMPONENT.findall(release)
    while components and not components[-1].strip("0"):
        components.pop()
    # In a release letters come before numbers (1.0b < 1.0.1); in a pre-release numbers
    # come first, as semver says (1.0-1 < 1.0-alpha).
    key = "".join(_component(text, number_mark=NUMBER_HIGH) for text in components)
    if hyphen:
        rest_components = COMPONENT.findall(rest)
        key += PRE_RELEASE
        key += "".join(_component(c, number_mark=NUMBER_LOW) for c in rest_components)
    return "v" + key + END


def _component(text: str, *, number_mark: str) -> str:
    if text.isascii() and text.isdigit():
        digits = text.lstrip("0")[:LONGEST_NUMBER]
        return f"{number_mark}{len(digits):02d}{digits}"
    spelt = "".join(
        char if char.isascii() and char.isalnum() else f"x{ord(char):06x}"
        for char in text
    )
    return f"{LETTERS}{spelt}0"  # 0 ends the letters, and sorts before any letter
