"""The text of a query as luqum reads it, and positions in what the person wrote."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fleet.exceptions import QueryError

# luqum reads two things in another way than people write them, so they get a backslash:
# a sign at the start of a word (luqum takes it for "not" or "must"; here it is part of
# the value, rssi:(-71 OR -72)), and the colon of a UTC offset.
PHRASE = r'"(?:[^\\"]|\\.)*"'
SIGN = r"(?P<sign>(?<![^\s(\[{:<>=])(?=[-+]))"
OFFSET = r"(?P<offset>T\d\d:\d\d(?::\d\d(?:\.\d+)?)?[+-]\d\d)(?=:\d\d)"
NEEDS_BACKSLASH = re.compile(rf"{PHRASE}|\\.|{SIGN}|{OFFSET}", re.DOTALL)
AT = re.compile(r"at position (\d+)")
SIGNED_WORD = re.compile(r"[-+]([^\s:()\[\]{}\"]*)")
WRITTEN_VALUE = re.compile(rf"{PHRASE}|(?:\\.|[^\s:()\[\]{{}}\"])+", re.DOTALL)
OPERATORS = ("AND", "OR", "NOT")


class Source:
    """A query's text, prepared for luqum."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._inserted: list[int] = []  # positions in the prepared text
        pieces = []
        done = 0
        for match in NEEDS_BACKSLASH.finditer(text):
            if match.lastgroup is None:
                continue
            if match.lastgroup == "sign" and text[match.end() + 1 :][:1] in ('"', "("):
                raise self.sign_refused(match.end())
            pieces.append(text[done : match.end()])
            self._inserted.append(match.end() + len(self._inserted))
            done = match.end()
        pieces.append(text[done:])
        self.prepared = "\\".join(pieces)

    def original(self, position: int) -> int:
        """Return the position in the person's text for one in the prepared text."""
        before = sum(inserted < position for inserted in self._inserted)
        return max(0, min(position - before, len(self.text)))

    def position(self, item: Any) -> int:
        """Return where a node of luqum begins in the person's text."""
        return self.original(item.pos or 0)

    def text_of(self, item: Any) -> str:
        """Return what the person wrote for a node of luqum."""
        end = self.original(item.pos + item.size)
        return self.text[self.position(item) : end].strip()

    def explained(self, message: str) -> QueryError:
        """Return luqum's error in our words, with its position."""
        match = AT.search(message)
        if match is None:
            return QueryError(*self._at_the_end())
        place = self.original(int(match.group(1)))
        char = self.text[place : place + 1]
        if char == '"':
            return QueryError("This quote is not closed.", place)
        word = re.match(r"\w+|.", self.text[place:], re.DOTALL)
        shown = word.group() if word else ""
        meant = shown.upper() if shown in ("and", "or", "not", "to") else None
        return QueryError(f"'{shown[:40]}' is not expected here.", place, meant)

    def begins_with_sign(self, position: int) -> bool:
        """Whether the person wrote a sign there, without a backslash or quotes."""
        return self.text[position : position + 1] in ("-", "+")

    def sign_refused(self, position: int) -> QueryError:
        """Return the error for a sign in front of a condition."""
        match = SIGNED_WORD.match(self.text, position)
        word = match.group(1) if match else ""
        if self.text[position] == "+":
            message = "A plus sign has no meaning here: every condition must hold."
            return QueryError(message, position, word or None)
        message = "A minus sign in front excludes nothing: write NOT."
        return QueryError(message, position, f"NOT {word}".strip())

    def _at_the_end(self) -> tuple[str, int]:
        end = len(self.text.rstrip())
        if self.text.count("(") > self.text.count(")"):
            return "A parenthesis is not closed.", end
        return "The query ends too early.", end


def written_end(text: str, position: int) -> int:
    """Return where the word or quoted value ends that begins at the position."""
    match = WRITTEN_VALUE.match(text, position)
    return match.end() if match else position


def written_values(text: str) -> Iterator[tuple[int, int]]:
    """Yield where each word and quoted text begins and ends.

    A quoted text that is not closed ends with the text.
    """
    position = 0
    while position < len(text):
        end = written_end(text, position)
        if end == position and text[position] == '"':
            end = len(text)
        if end > position:
            yield position, end
        position = max(end, position + 1)
