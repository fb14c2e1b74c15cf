"""Django admin: for platform superusers, behind the same sign-in as everything."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect


class PlatformAdminSite(admin.AdminSite):
    """The stock admin; it sees all tenants, so that only superusers may come in."""

    site_header = "iotplatform administration"
    site_title = "iotplatform"
    index_title = "Registry and platform"

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether the person stands above all tenants."""
        user = request.user
        return user.is_active and user.is_authenticated and user.is_superuser

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Send people to the one sign-in page, where failed tries are counted."""
        if request.user.is_authenticated and not self.has_permission(request):
            raise PermissionDenied("Only a platform superuser may come in here.")
        if request.user.is_authenticated:
            return redirect("admin:index")
        return redirect_to_login(request.GET.get("next", request.path))
