"""JSON parsers for requests; they refuse what PostgreSQL cannot store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

from iotplatform.common.problems import BadInput

NOT_TEXT = "The body is not UTF-8 text; a compressed body is not understood."
MAX_DEPTH = 64  # deeper than any document of ours, far below Python's own limit


class StrictJSONParser(JSONParser):
    """DRF's parser, which also refuses NUL characters, half surrogates and great depth.

    DRF accepts each of these, and the database or the encoder then fails with a 500.
    The refusal names the field.
    """

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the document; raise ParseError, or BadInput naming the field."""
        try:
            document = super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError("The JSON is nested too deeply.") from None
        except ParseError as error:
            if isinstance(error.__context__, UnicodeDecodeError):
                raise ParseError(NOT_TEXT) from None
            raise
        check_text(document)
        return document


class MergePatchParser(StrictJSONParser):
    """The same for ``application/merge-patch+json`` (RFC 7396)."""

    media_type = "application/merge-patch+json"


def check_text(document: Any, *path: str | int) -> None:
    """Raise BadInput naming the field, or ParseError, if this cannot be stored."""
    if len(path) > MAX_DEPTH:
        raise ParseError("The JSON is nested too deeply.")
    if isinstance(document, str):
        _check_string(document, path)
    elif isinstance(document, dict):
        for key, value in document.items():
            _check_string(key, path)
            check_text(value, *path, key)
    elif isinstance(document, list):
        for position, value in enumerate(document):
            check_text(value, *path, position)


def _check_string(text: str, path: tuple[str | int, ...]) -> None:
    if text.isascii() and "\0" not in text:
        return
    message = ""
    if "\0" in text:
        message = "Text must not contain the character NUL (\\u0000)."
    try:
        text.encode()
    except UnicodeEncodeError:
        shown = json.dumps(text)[:80]
        message = f"Text must not contain half of a surrogate pair: {shown}"
    if message:
        field = ".".join(map(str, path))
        raise BadInput(message, errors=[{"field": field, "message": message}])
