"""What a session of a browser must keep to: an idle end, and a second factor."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect

from iotplatform.common.problems import problem_response
from registry.selectors.second_factors import has_second_factor, must_have_one

SEEN, HAS_FACTOR = "seen_at", "has_second_factor"
NOTED_EVERY = 300  # seconds: a page must not cost a write
OPEN_PATHS = (
    "/accounts/",
    "/static/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/favicon.ico",
)
FOR_SCRIPTS = ("/api/", "/device/", "/broker/")
NEEDED = "Your account needs a second factor: set one up first."


class SessionRulesMiddleware:
    """Ends a session that nobody used, and asks for a second factor where it must."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request by its session's rules."""
        if settings.SESSION_COOKIE_NAME in request.COOKIES:
            refusal = self._judge(request)
            if refusal is not None:
                return refusal
        return self.get_response(request)

    def _judge(self, request: HttpRequest) -> HttpResponseBase | None:
        now, seen = int(time.time()), request.session.get(SEEN)
        if seen is not None and now - seen > settings.SESSION_IDLE_SECONDS:
            logout(request)
            return None
        if "_auth_user_id" not in request.session:
            return None
        if seen is None or now - seen >= NOTED_EVERY:
            request.session[SEEN] = now
        if not settings.SECOND_FACTOR_REQUIRED_OF:
            return None
        if request.path.startswith(OPEN_PATHS) or _is_settled(request):
            return None
        if request.path.startswith(FOR_SCRIPTS):
            return problem_response(request, 403, NEEDED)
        messages.warning(request, NEEDED)
        return redirect("mfa_activate_totp")


def _is_settled(request: HttpRequest) -> bool:
    """Whether nothing is missing; who has a factor is not asked again all the time."""
    user = request.user
    if not user.is_authenticated or request.session.get(HAS_FACTOR) == user.pk:
        return True
    if has_second_factor(user):
        request.session[HAS_FACTOR] = user.pk
        return True
    return not must_have_one(user)
