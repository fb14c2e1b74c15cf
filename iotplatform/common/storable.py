"""Text of callers and devices, made fit to store, to send as JSON and to show.

PostgreSQL's text and jsonb hold no NUL, and UTF-8 has no half of a surrogate pair.
Python text can have both: from a JSON escape, or from bytes that are not UTF-8.
"""

from __future__ import annotations

import re
from typing import Any

UNSTORABLE = re.compile("[\0\ud800-\udfff]")
# As Python keeps single bytes that are not UTF-8 (its error handler surrogateescape).
_FIRST_BYTE, _LAST_BYTE, _BYTE_OFFSET = 0xDC80, 0xDCFF, 0xDC00


def is_storable(text: str) -> bool:
    """Whether a table and a JSON document can hold this text as it is."""
    if text.isascii():
        return "\0" not in text
    return UNSTORABLE.search(text) is None


def storable(text: str) -> str:
    r"""Return the text with what cannot be stored as escapes: ``\0``, ``\xff``."""
    return text if is_storable(text) else UNSTORABLE.sub(_escape, text)


def storable_document(value: Any) -> Any:
    """Return a document in which every text and key is storable."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {
            storable_document(key): storable_document(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [storable_document(inner) for inner in value]
    return value


def _escape(match: re.Match[str]) -> str:
    number = ord(match[0])
    if number == 0:
        return "\\0"
    if _FIRST_BYTE <= number <= _LAST_BYTE:
        return f"\\x{number - _BYTE_OFFSET:02x}"
    return f"\\u{number:04x}"
