"""Answers to errors: a problem document for scripts, a page for people."""

from __future__ import annotations

import sys
from math import ceil
from typing import Any

from axes.helpers import get_cool_off
from django.conf import settings
from django.core.exceptions import BadRequest, PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from redis.exceptions import ConnectionError as NoRedis
from redis.exceptions import TimeoutError as SlowRedis

from iotplatform.common.problems import NO_DATABASE, NO_REDIS, problem_response

SCRIPTS = ("/api/", "/device/")
SAFE = ("GET", "HEAD")
NOT_ALLOWED = {
    True: "You are not allowed to see this page",
    False: "You are not allowed to do this",
}
FORM_TOO_OLD = "The form is too old, or does not come from this site:"
NO_SUCH_PATH = "This path does not exist. Every path of the API ends with a slash."


def is_for_scripts(request: HttpRequest) -> bool:
    """Whether the client is a script and expects JSON."""
    return request.path.startswith(SCRIPTS)


@csrf_exempt
def unknown_path(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    """Answer an unknown path below /api/ or /device/."""
    return problem_response(request, 404, NO_SUCH_PATH)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if is_for_scripts(request):
        return problem_response(request, 400, "The request is not valid.")
    # Only what our own code raises is fit to be read.
    reason = str(exception) if isinstance(exception, BadRequest) else ""
    return render(request, "400.html", {"reason": reason}, status=400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if is_for_scripts(request):
        return problem_response(request, 403, "You may not do this.")
    return _refused(request, exception, title=NOT_ALLOWED[request.method in SAFE])


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    """Answer a form without a valid CSRF token."""
    if is_for_scripts(request):
        return problem_response(request, 403, f"{FORM_TOO_OLD} {reason}")
    return _refused(
        request, PermissionDenied(f"{FORM_TOO_OLD} {reason}"), title="Form not accepted"
    )


def _refused(request: HttpRequest, exception: Exception, *, title: str) -> HttpResponse:
    """Answer with the reason, and who can help, if anybody can."""
    helpers = getattr(exception, "helpers", ())
    context = {"title": title, "reason": str(exception), "helpers": helpers}
    return render(request, "403.html", context, status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if is_for_scripts(request):
        return problem_response(request, 404, NO_SUCH_PATH)
    return defaults.page_not_found(request, exception)


def server_error(request: HttpRequest) -> HttpResponseBase:
    """Answer an error of ours; only the log has its details."""
    # Django calls this while it handles the exception, but does not pass it on.
    error = sys.exc_info()[1]
    if isinstance(error, OperationalError | InterfaceError):
        return _without_store(request, NO_DATABASE, "Database unavailable")
    if isinstance(error, NoRedis | SlowRedis):
        return _without_store(request, NO_REDIS, "Redis unavailable")
    if is_for_scripts(request):
        detail = "The platform failed. The error has been logged."
        return problem_response(request, 500, detail)
    return defaults.server_error(request)


def _without_store(request: HttpRequest, detail: str, title: str) -> HttpResponse:
    """Answer while a store is away; nothing here may query it."""
    if is_for_scripts(request):
        answer: HttpResponse = problem_response(request, 503, detail)
    else:
        context = {"title": title, "is_database": detail == NO_DATABASE}
        answer = HttpResponse(render_to_string("503.html", context), status=503)
    answer["Retry-After"] = "5"
    return answer


def locked_out(
    request: HttpRequest, response: HttpResponse | None, credentials: Any
) -> HttpResponse:
    """Answer a sign-in that failed too often (for django-axes)."""
    pause = get_cool_off(request)
    seconds = int(pause.total_seconds()) if pause else 0
    if is_for_scripts(request):
        answer: HttpResponse = problem_response(
            request,
            429,
            "Too many failed tries: this user is locked out for a while at your"
            " address.",
        )
    else:
        template = settings.AXES_LOCKOUT_TEMPLATE
        context = {"minutes": ceil(seconds / 60)}
        answer = render(request, template, context, status=429)
    answer["Retry-After"] = str(seconds)
    return answer
