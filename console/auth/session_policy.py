"""Rules of browser sessions: the idle timeout, and the second factor."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect

from iotplatform.common.problems import problem_response
from registry.selectors.second_factors import has_second_factor, needs_second_factor

SEEN_AT, HAS_FACTOR = "seen_at", "has_second_factor"
SAVE_SEEN_EVERY = 300  # seconds: not every page may cost a write
OPEN_PATHS = (
    "/accounts/",
    "/static/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/favicon.ico",
)
SCRIPT_PATHS = ("/api/", "/device/", "/broker/")
FACTOR_NEEDED = "Your account needs a second factor. Set one up first."


class SessionRulesMiddleware:
    """Ends idle sessions, and demands a second factor where one is required."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if settings.SESSION_COOKIE_NAME in request.COOKIES:
            refusal = self._refusal_of(request)
            if refusal is not None:
                return refusal
        return self.get_response(request)

    def _refusal_of(self, request: HttpRequest) -> HttpResponseBase | None:
        now, seen = int(time.time()), request.session.get(SEEN_AT)
        if seen is not None and now - seen > settings.SESSION_IDLE_SECONDS:
            logout(request)
            return None
        if "_auth_user_id" not in request.session:
            return None
        if seen is None or now - seen >= SAVE_SEEN_EVERY:
            request.session[SEEN_AT] = now
        if not settings.SECOND_FACTOR_REQUIRED_OF:
            return None
        if request.path.startswith(OPEN_PATHS) or _has_what_is_required(request):
            return None
        if request.path.startswith(SCRIPT_PATHS):
            return problem_response(request, 403, FACTOR_NEEDED)
        messages.warning(request, FACTOR_NEEDED)
        return redirect("mfa_activate_totp")


def _has_what_is_required(request: HttpRequest) -> bool:
    """Whether no factor is missing; the session caches that there is one."""
    user = request.user
    if not user.is_authenticated or request.session.get(HAS_FACTOR) == user.pk:
        return True
    if has_second_factor(user):
        request.session[HAS_FACTOR] = user.pk
        return True
    return not needs_second_factor(user)
