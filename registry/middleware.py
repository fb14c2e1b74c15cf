"""Every request begins without a tenant, and then gets those of its caller."""

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
from registry.tenant_scope import enter_scope_of

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from registry.models import User

ENTRY_POINTS = {"api": "rest", "admin": "admin", "device": "device", "broker": "device"}
CONSOLE, DEVICE = "console", "device"


class TenantScopeMiddleware:
    """Shows no tenant's rows until ``request.user`` is read; that finds the caller."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        door = ENTRY_POINTS.get(request.path.split("/")[1], CONSOLE)
        # Devices and brokers are no users of a tenant: the bridge's role serves them.
        role = tenant_scope.BRIDGE if door == DEVICE else tenant_scope.WEB
        with tenant_scope.scoped(tenant_scope.TenantScope(door=door, role=role)):
            request.user = SimpleLazyObject(lambda: _identify(request))  # type: ignore[assignment]
            answer = self.get_response(request)
            if isinstance(answer, StreamingHttpResponse) and not isinstance(
                answer,
                FileResponse,  # needs no database while it is sent
            ):
                answer.streaming_content = tenant_scope.stream(answer)
        return answer


def _identify(request: HttpRequest) -> User | AnonymousUser:
    """Find the session's person, and enter their tenant scope."""
    user: User | AnonymousUser = get_user(request)
    enter_scope_of(user)
    return user
