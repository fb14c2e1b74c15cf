"""Pages show times in the reader's zone, which the browser names in a cookie."""

from __future__ import annotations

import re
from collections.abc import Callable
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponseBase
from django.utils import timezone

COOKIE = "zone"  # time_zone.js sets it
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}")
LONGEST_NAME = 64
# Scripts and devices get UTC, whoever calls.
SCRIPTS = ("/api/v", "/device/")


class TimeZoneMiddleware:
    """Sets the zone of the reader while a page is made; UTC without a cookie."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path.startswith(SCRIPTS):
            return self.get_response(request)
        with timezone.override(read_zone(request.COOKIES.get(COOKIE, ""))):
            return self.get_response(request)


def read_zone(name: str) -> ZoneInfo | None:
    """Return the zone of this name; None, which means UTC, if there is none."""
    if len(name) > LONGEST_NAME or not NAME.fullmatch(name):
        return None
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # also the name of a folder of zones
        return None
