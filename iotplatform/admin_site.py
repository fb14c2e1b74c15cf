"""The Django admin site, for managers, with the same sign-in as the console."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from registry.permissions import Right, tenants_where

OWN_APPS = ("registry", "state", "commands", "fleet")


class PlatformAdminSite(admin.AdminSite):
    """The default admin, for platform superusers and the tenants' own staff.

    ``registry.admin.shared.tenant_rows`` limits staff to rows of their tenants.
    """

    site_header = "iotplatform administration"
    site_title = "iotplatform"
    index_title = "Registry and platform"

    def has_permission(self, request: HttpRequest) -> bool:
        """Whether the user is a superuser, or is staff and manages a tenant."""
        user = request.user
        if not user.is_authenticated or not user.is_active:
            return False
        if user.is_superuser:
            return True
        return user.is_staff and bool(tenants_where(user, Right.MANAGE))

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> Any:
        """Return the apps, our own first: the others are libraries."""
        apps = super().get_app_list(request, app_label)
        place = {label: number for number, label in enumerate(OWN_APPS)}
        return sorted(apps, key=lambda app: place.get(app["app_label"], len(place)))

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Redirect to the sign-in page of the console, which counts failed tries."""
        if request.user.is_authenticated and not self.has_permission(request):
            raise PermissionDenied("Only staff who manage a tenant may use the admin.")
        if request.user.is_authenticated:
            return redirect("admin:index")
        return redirect_to_login(request.GET.get("next", request.path))
