"""Lists of the REST API: an opaque cursor, and a limit of up to 1,000."""

from rest_framework.pagination import CursorPagination


class OpaqueCursorPagination(CursorPagination):
    """``{"next": url|null, "previous": url|null, "results": […]}``, by key order."""

    page_size = 100
    page_size_query_param = "limit"
    max_page_size = 1_000
    ordering = "pk"
