"""Refusals, and their form in the REST API (RFC 9457, application/problem+json)."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from redis.exceptions import ConnectionError as NoRedis
from redis.exceptions import TimeoutError as SlowRedis
from rest_framework import exceptions as drf
from rest_framework.response import Response

from iotplatform.common.storable import storable, storable_document
from iotplatform.common.uploads import UploadTooBig

logger = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
NON_FIELD = "non_field_errors"
NO_DATABASE = "The database does not answer. Try again in a moment."
NO_REDIS = "Redis does not answer. Try again in a moment."


class Problem(Exception):
    """A refusal that the caller can act on; the base class of the apps' exceptions.

    It quotes callers, so its texts are made fit to store, to send and to show.
    """

    status = 400

    def __init__(
        self,
        detail: str,
        *,
        errors: list[dict[str, Any]] | None = None,
        **extra: Any,
    ) -> None:
        self.detail = storable(detail)
        self.errors: list[dict[str, Any]] = storable_document(errors or [])
        self.extra: dict[str, Any] = storable_document(extra)
        super().__init__(self.detail)


class BadInput(Problem):
    """The input is not valid; ``errors`` names each wrong field."""

    def __init__(
        self,
        detail: str = "The input is not valid.",
        *,
        errors: list[dict[str, Any]] | None = None,
        **fields: str,
    ) -> None:
        rows = [{"field": name, "message": text} for name, text in fields.items()]
        super().__init__(detail, errors=[*(errors or []), *rows])


class Forbidden(Problem):
    """The caller may see the object, but may not do this to it."""

    status = 403


class NotFound(Problem):
    """There is no such object for this caller."""

    status = 404


class Conflict(Problem):
    """The object's present state does not allow this."""

    status = 409


class PreconditionFailed(Problem):
    """The object has changed since the version that the caller named."""

    status = 412


class TooLarge(Problem):
    """The request's body is too long."""

    status = 413


class TooMany(Problem):
    """The caller has asked for more than can be done at a time."""

    status = 429


class Unavailable(Problem):
    """A part of the platform does not answer now."""

    status = 503


def problem_body(
    status: int,
    detail: str,
    errors: list[dict[str, Any]] | None = None,
    extra: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a problem document with the members of RFC 9457 and ``errors``."""
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": storable(detail),
        "errors": storable_document(errors or []),
        **(extra or {}),
    }


def problem_response(request: HttpRequest, status: int, detail: str) -> JsonResponse:
    """Answer a plain Django request (an unknown URL under /api/) with a problem."""
    return JsonResponse(
        problem_body(status, detail), status=status, content_type=CONTENT_TYPE
    )


def answer_problem(exc: Exception, context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: every error of the API is a problem document."""
    # A circle otherwise: this import reads DRF's settings, which import this module.
    from rest_framework.views import exception_handler

    if isinstance(exc, DjangoValidationError):
        exc = _from_django(exc)
    if isinstance(exc, UploadTooBig):
        errors = [{"field": "file", "message": str(exc)}]
        exc = TooLarge(str(exc), errors=errors)
    if isinstance(exc, RequestDataTooBig):
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        exc = TooLarge(f"The body is too long: at most {most} bytes.")
    if isinstance(exc, OperationalError | InterfaceError):
        logger.error("the database does not answer: %s", exc)
        exc = Unavailable(NO_DATABASE)
    if isinstance(exc, NoRedis | SlowRedis):
        logger.error("Redis does not answer: %s", exc)
        exc = Unavailable(NO_REDIS)
    if isinstance(exc, Problem):
        body = problem_body(exc.status, exc.detail, exc.errors, exc.extra)
        return Response(body, status=exc.status, content_type=CONTENT_TYPE)
    response = exception_handler(exc, context)
    if response is None:
        return None
    response.data = _drf_body(exc, response)
    response.content_type = CONTENT_TYPE
    return response


def _drf_body(exc: Exception, response: Response) -> dict[str, Any]:
    if isinstance(exc, drf.ValidationError):
        return problem_body(400, "The input is not valid.", field_errors(exc.detail))
    if isinstance(exc, Http404):
        return problem_body(404, "There is no such object.")
    if isinstance(exc, PermissionDenied):
        return problem_body(403, "You may not do this.")
    detail = exc.detail if isinstance(exc, drf.APIException) else "The request failed."
    return problem_body(response.status_code, str(detail))


def _from_django(exc: DjangoValidationError) -> BadInput:
    if hasattr(exc, "error_dict"):
        rows = [
            {"field": "" if name == "__all__" else name, "message": text}
            for name, texts in exc.message_dict.items()
            for text in texts
        ]
    else:
        rows = [{"field": "", "message": text} for text in exc.messages]
    return BadInput(errors=rows)


def field_errors(detail: Any, prefix: str = "") -> list[dict[str, str]]:
    """Flatten DRF's nested errors to ``[{"field": "a.0.b", "message": …}]``."""
    if isinstance(detail, dict):
        return [
            row
            for name, inner in detail.items()
            for row in field_errors(inner, _join(prefix, str(name)))
        ]
    if isinstance(detail, list):
        rows: list[dict[str, str]] = []
        for position, inner in enumerate(detail):
            nested = isinstance(inner, (dict, list))
            rows += field_errors(
                inner, _join(prefix, str(position)) if nested else prefix
            )
        return rows
    return [{"field": prefix, "message": str(detail)}]


def _join(prefix: str, name: str) -> str:
    if name == NON_FIELD:
        return prefix
    return f"{prefix}.{name}" if prefix else name
