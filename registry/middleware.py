"""Every request begins behind the wall, and is let to its caller's tenants."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from django.contrib.auth.middleware import get_user
from django.http import (
    FileResponse,
    HttpRequest,
    HttpResponseBase,
    StreamingHttpResponse,
)
from django.utils.functional import SimpleLazyObject

from iotplatform.common import tenant_scope
from registry.tenant_scope import let_in

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from registry.models import User

DOORS = {"api": "rest", "admin": "admin", "device": "device", "broker": "device"}
CONSOLE, DEVICE = "console", "device"


class WallMiddleware:
    """Nobody's rows until somebody knows who asks: whoever reads the user finds out."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a request in a scope of its own."""
        door = DOORS.get(request.path.split("/")[1], CONSOLE)
        # Devices and brokers are no people of a tenant: they speak to the bridge.
        role = tenant_scope.BRIDGE if door == DEVICE else tenant_scope.WEB
        with tenant_scope.scoped(tenant_scope.Scope(door=door, role=role)):
            request.user = SimpleLazyObject(lambda: _known(request))  # type: ignore[assignment]
            answer = self.get_response(request)
            if isinstance(answer, StreamingHttpResponse) and not isinstance(
                answer,
                FileResponse,  # needs no database while it goes out
            ):
                answer.streaming_content = tenant_scope.stream(answer)
        return answer


def _known(request: HttpRequest) -> User | AnonymousUser:
    """Find the session's person, and let them in."""
    user: User | AnonymousUser = get_user(request)
    let_in(user)
    return user
