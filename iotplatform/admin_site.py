"""Django admin: for those who manage, behind the same sign-in as everything."""

from __future__ import annotations

from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from registry.permissions import Right, tenants_where


class PlatformAdminSite(admin.AdminSite):
    """The stock admin, for platform superusers and the tenants' own staff.

    What staff see there is theirs: ``registry.admin.shared.tenant_rows``.
    """

    site_header = "iotplatform administration"
    site_title = "iotplatform"
    index_title = "Registry and platform"

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether the person stands above all tenants, or is staff and manages one."""
        user = request.user
        if not user.is_authenticated or not user.is_active:
            return False
        if user.is_superuser:
            return True
        return user.is_staff and bool(tenants_where(user, Right.MANAGE))

    def admin_view(self, view: Any, cacheable: bool = False) -> Any:
        """Refuse an address with NUL in it, which no text of a table has."""
        inner = super().admin_view(view, cacheable)

        @wraps(inner)
        def checked(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            asked = (text for values in request.GET.lists() for text in values[1])
            if any("\0" in text for text in (request.path, *request.GET, *asked)):
                raise BadRequest("An address cannot hold the character NUL.")
            return inner(request, *args, **kwargs)

        return checked

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Send people to the one sign-in page, where failed tries are counted."""
        if request.user.is_authenticated and not self.has_permission(request):
            raise PermissionDenied("Only staff who manage a tenant may come in here.")
        if request.user.is_authenticated:
            return redirect("admin:index")
        return redirect_to_login(request.GET.get("next", request.path))
