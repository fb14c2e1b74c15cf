"""Lists of the REST API: an opaque cursor, and a limit of up to 1,000."""

from __future__ import annotations

import re
from typing import Any

from django.core.exceptions import ValidationError
from django.db import DataError
from rest_framework import exceptions
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

from iotplatform.common.problems import BadInput

MAX_LIMIT = 1_000
BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")


def read_limit(params: Any, *, default: int, name: str = "limit") -> int:
    """Return the page size that the caller asks for; raise BadInput naming it."""
    text = params.get(name)
    if text is None:
        return default
    if text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MAX_LIMIT:
        return int(text[:9])
    raise BadInput(errors=[{"field": name, "message": f"A number, 1 to {MAX_LIMIT}."}])


class OpaqueCursorPagination(CursorPagination):
    """``{"next": url|null, "previous": url|null, "results": […]}``, sorted by key."""

    page_size = 100
    page_size_query_param = "limit"
    max_page_size = MAX_LIMIT
    ordering = "pk"

    def get_page_size(self, request: Request) -> int:
        """Refuse a limit that is not a number or too large; DRF would ignore it."""
        return read_limit(request.query_params, default=int(self.page_size or 100))

    def paginate_queryset(
        self, queryset: Any, request: Request, view: Any = None
    ) -> Any:
        """Return one page; raise BadInput for a cursor that we did not make."""
        try:
            return super().paginate_queryset(queryset, request, view)
        except (ValueError, TypeError, OverflowError, ValidationError, DataError):
            if self.cursor_query_param not in request.query_params:
                raise
            raise BadInput(cursor="Not a cursor of this list.") from None

    def decode_cursor(self, request: Request) -> Cursor | None:
        """Raise BadInput for a broken cursor; DRF would answer 404."""
        encoded = request.query_params.get(self.cursor_query_param)
        if not encoded:
            return None
        try:
            cursor = super().decode_cursor(request)
        except exceptions.NotFound:
            raise BadInput(cursor="Not a cursor of this list.") from None
        # DRF ignores what is not base64, and so would start at the first page again.
        if cursor is not None and not (
            BASE64.fullmatch(encoded)
            and (cursor.offset or cursor.position)
            and "\0" not in str(cursor.position)
        ):
            raise BadInput(cursor="Not a cursor of this list.")
        return cursor
