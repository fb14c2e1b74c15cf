"""The query parameters of an endpoint: those of its OpenAPI document, and no others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
    """Refuses a query parameter that the endpoint does not know, or that is repeated.

    Without this, a misspelt filter would mean everything, and of two values the
    first would be ignored: ``?dry_run=1&dry_run=0`` would do it.
    """

    # What every endpoint of the view knows, in addition to what each one declares.
    query_parameters: ClassVar[Sequence[OpenApiParameter]] = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Raise BadInput that names each unknown or repeated parameter."""
        super().initial(request, *args, **kwargs)
        if not request.query_params or self._method not in self.allowed_methods:
            return
        known = self._known_parameters()
        if errors := [*_unknown(request, known), *_repeated(request, known)]:
            raise BadInput(errors=errors)

    @property
    def _method(self) -> str:
        method = str(self.request.method)
        return "GET" if method == "HEAD" else method

    def _known_parameters(self) -> dict[str, bool]:
        match = self.request.resolver_match
        if self._method == "OPTIONS" or match is None:
            return dict.fromkeys(self.request.query_params, True)
        known = _documented(match.func, f"/{match.route}", self._method)
        if isinstance(self.get_content_negotiator(), DefaultContentNegotiation):
            # DRF refuses a wrong one.
            known = known | {str(self.settings.URL_FORMAT_OVERRIDE): False}
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
def _documented(callback: Any, route: str, method: str) -> dict[str, bool]:
    """Return an operation's query parameters, and whether each may be repeated."""
    load_extensions()
    generator: Any = SchemaGenerator()  # type: ignore[no-untyped-call]
    path = EndpointEnumerator().get_path_from_regex(route)
    view = generator.create_view(callback, method)
    view.request = spectacular_settings.GET_MOCK_REQUEST(method, path, view, None)
    operation = view.schema.get_operation(path, route, "", method, generator.registry)
    return {
        parameter["name"]: parameter.get("schema", {}).get("type") == "array"
        and parameter.get("explode", True)
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query"
    }


def _unknown(request: Request, known: dict[str, bool]) -> Iterator[dict[str, Any]]:
    for name in request.query_params:
        if name in known:
            continue
        row = {"field": name, "message": "There is no such query parameter."}
        if near := get_close_matches(name, sorted(known), n=1):
            row["did_you_mean"] = near[0]
        yield row


def _repeated(request: Request, known: dict[str, bool]) -> Iterator[dict[str, Any]]:
    for name, values in request.query_params.lists():
        if len(values) > 1 and not known.get(name, True):
            yield {"field": name, "message": "This may be given only once."}
