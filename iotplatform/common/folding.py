"""The folding of texts before they are compared: Unicode's NFKC case folding."""

from __future__ import annotations

import re
import unicodedata

# Unicode's NFKC case folding leaves these out: they are not seen.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def fold(text: str) -> str:
    """Return the folded text: final sigma is sigma, wide letters are letters."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFD", INVISIBLE.sub("", text)).casefold()
    folded = unicodedata.normalize("NFKC", folded).casefold()
    return unicodedata.normalize("NFKC", folded)
