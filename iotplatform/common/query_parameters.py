"""The query parameters of an endpoint: those of its OpenAPI document, and no others."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from threading import Lock
from typing import Any, ClassVar

from drf_spectacular.extensions import (
    OpenApiAuthenticationExtension,
    OpenApiFilterExtension,
    OpenApiSerializerExtension,
    OpenApiSerializerFieldExtension,
    OpenApiViewExtension,
)
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.settings import spectacular_settings
from drf_spectacular.utils import OpenApiParameter
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.request import Request
from rest_framework.schemas.generators import EndpointEnumerator
from rest_framework.views import APIView

from iotplatform.common.problems import BadInput

# What drf-spectacular loads when it is first asked.
EXTENSIONS = (
    OpenApiAuthenticationExtension,
    OpenApiFilterExtension,
    OpenApiSerializerExtension,
    OpenApiSerializerFieldExtension,
    OpenApiViewExtension,
)


LOADING = Lock()


def load_extensions() -> None:
    """Load all of them, one thread at a time: two that ask first at once fail."""
    with LOADING:
        for kind in EXTENSIONS:
            kind.get_match(APIView.as_view())


class KnownParametersView(APIView):
    """Refuses a query parameter that the endpoint does not know.

    Without this, a misspelt filter would mean everything.
    """

    # What every endpoint of the view knows, in addition to what each one declares.
    query_parameters: ClassVar[Sequence[OpenApiParameter]] = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Raise BadInput that names each unknown parameter."""
        super().initial(request, *args, **kwargs)
        if not request.query_params or self._method not in self.allowed_methods:
            return
        known = self._known_parameters()
        if unknown := [name for name in request.query_params if name not in known]:
            raise _refusal(unknown, known)

    @property
    def _method(self) -> str:
        method = str(self.request.method)
        return "GET" if method == "HEAD" else method

    def _known_parameters(self) -> frozenset[str]:
        match = self.request.resolver_match
        if self._method == "OPTIONS" or match is None:
            return frozenset(self.request.query_params)
        known = _documented(match.func, f"/{match.route}", self._method)
        if isinstance(self.get_content_negotiator(), DefaultContentNegotiation):
            known |= {str(self.settings.URL_FORMAT_OVERRIDE)}  # DRF refuses a wrong one
        return known


def whole_number(request: Request, name: str, *, most: int) -> int | None:
    """Return the number in a query parameter, None without it; raises BadInput."""
    text = request.query_params.get(name)
    if text is None:
        return None
    number = parse_whole_number(text, most=most)
    if number is None:
        message = f"A whole number from 0 to {most}."
        raise BadInput(errors=[{"field": name, "message": message}])
    return number


def parse_whole_number(text: str, *, most: int) -> int | None:
    """Return the number, or None if the text is not one from 0 to ``most``."""
    if text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= most:
        return int(text)
    return None


@cache  # one entry for each operation of the document
def _documented(callback: Any, route: str, method: str) -> frozenset[str]:
    """Return the query parameters that the document lists for an operation."""
    load_extensions()
    generator: Any = SchemaGenerator()  # type: ignore[no-untyped-call]
    path = EndpointEnumerator().get_path_from_regex(route)
    view = generator.create_view(callback, method)
    view.request = spectacular_settings.GET_MOCK_REQUEST(method, path, view, None)
    operation = view.schema.get_operation(path, route, "", method, generator.registry)
    return frozenset(
        parameter["name"]
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query"
    )


def _refusal(unknown: Sequence[str], known: frozenset[str]) -> BadInput:
    errors: list[dict[str, Any]] = []
    for name in unknown:
        row = {"field": name, "message": "There is no such query parameter."}
        if near := get_close_matches(name, sorted(known), n=1):
            row["did_you_mean"] = near[0]
        errors.append(row)
    return BadInput(errors=errors)
