"""Checks of requests that hold for every page."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponseBase

from iotplatform.error_pages import is_for_scripts


class StorableTextMiddleware:
    """Refuses an address or form that contains NUL: no table can hold it, or find it.

    It stands behind the CSRF check, which bounds a form and reads it. Django's decoding
    leaves no half of a surrogate pair. Scripts are told the field by their endpoint.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self._get_response(request)

    def process_view(self, request: HttpRequest, *view: Any) -> None:
        """Raise BadRequest if a name or value contains NUL."""
        if is_for_scripts(request):
            return
        lists = (*request.GET.lists(), *request.POST.lists())
        texts = [text for name, values in lists for text in (name, *values)]
        if any("\0" in str(text) for text in (request.path, *texts)):
            raise BadRequest("A page's address or form cannot contain NUL.")
