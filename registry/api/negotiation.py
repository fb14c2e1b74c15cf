"""REST: answers that are files, whatever the ``Accept`` header says."""

from __future__ import annotations

from typing import Any

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request


class FileNegotiation(BaseContentNegotiation):
    """``?format=`` names a file's format here, not one of DRF's renderers."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        """Return the parser for the body's type."""
        for parser in parsers:
            if (request.content_type or "").startswith(parser.media_type):
                return parser
        return None

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> Any:
        """Return the first: only refusals are rendered."""
        return renderers[0], renderers[0].media_type
