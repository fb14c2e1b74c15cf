"""JSON of requests, without what PostgreSQL cannot keep."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

MAX_DEPTH = 64  # deeper than any document of ours; far from Python's own limit


class StrictJSONParser(JSONParser):
    """DRF's parser, which also refuses NUL characters, half surrogates and great depth.

    Each of these would pass here and fail in the database or the encoder as an error
    of ours.
    """

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the decoded document, or raise ParseError saying what is wrong."""
        try:
            document = super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError("The JSON is nested too deeply.") from None
        check_text(document)
        return document


class MergePatchParser(StrictJSONParser):
    """The same for ``application/merge-patch+json`` (RFC 7396)."""

    media_type = "application/merge-patch+json"


def check_text(document: Any, depth: int = 0) -> None:
    """Raise ParseError where the document holds text that cannot be kept."""
    if depth > MAX_DEPTH:
        raise ParseError("The JSON is nested too deeply.")
    if isinstance(document, str):
        _check_string(document)
    elif isinstance(document, dict):
        for key, value in document.items():
            _check_string(key)
            check_text(value, depth + 1)
    elif isinstance(document, list):
        for value in document:
            check_text(value, depth + 1)


def _check_string(text: str) -> None:
    if text.isascii() and "\0" not in text:
        return
    if "\0" in text:
        raise ParseError("Text may not hold the character NUL (\\u0000).")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ParseError(
            f"Text may not hold half of a surrogate pair: {json.dumps(text)[:80]}"
        ) from None
