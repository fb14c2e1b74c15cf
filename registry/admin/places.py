"""Django admin: tenants, projects, sites, spaces."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest

from registry.admin.shared.base import ServiceAdmin
from registry.admin.shared.filters import TenantFilter, Typed
from registry.admin.shared.tenant_rows import OfTenants, tenants_of
from registry.models import Project, Site, Space, Tenant
from registry.selectors.access import (
    at_site_within,
    projects_within,
    sites_within,
)
from registry.services import places, spaces, tenants


@admin.register(Tenant)
class TenantAdmin(OfTenants, ServiceAdmin[Tenant]):
    """Owners of devices."""

    list_display = ("slug", "name", "created_at")
    search_fields = ("slug", "name")
    readonly_fields = ("public_id", "created_at")

    def reached(self, tenants: list[Tenant]) -> Q:
        """Return the condition of the tenants themselves."""
        return Q(pk__in=[row.pk for row in tenants])

    def has_add_permission(self, request: HttpRequest) -> bool:
        """The platform makes tenants."""
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The platform names tenants."""
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The platform ends tenants."""
        return bool(request.user.is_superuser)

    def save_model(
        self, request: HttpRequest, obj: Tenant, form: Any, change: bool
    ) -> None:
        """Save through the service."""
        tenants.save_tenant(obj)

    def delete_model(self, request: HttpRequest, obj: Tenant) -> None:
        """Delete through the service."""
        tenants.delete_tenant(obj)


class OfTenantAdmin(OfTenants, ServiceAdmin[Any]):
    """Objects with a slug in a tenant; which tenant is fixed once they exist."""

    search_fields = ("slug", "name")
    ordering = ("tenant_id", "slug")  # which the slugs' own index has

    def get_sortable_by(self, request: HttpRequest) -> Any:
        """Offer every column: a tenant has thousands of these at the most."""
        return self.get_list_display(request)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Fix the tenant of what exists."""
        always = ("public_id", "created_at")
        return always if obj is None else (*always, "tenant")


@admin.register(Project)
class ProjectAdmin(OfTenantAdmin):
    """Undertakings that sites and devices may belong to."""

    is_of_whole_tenant = True
    list_display = ("slug", "name", "tenant", "created_at")
    list_select_related = ("tenant",)
    list_filter = (TenantFilter,)
    autocomplete_fields = ("tenant",)

    def reached(self, tenants: list[Tenant]) -> Q:
        """Return the condition of those within reach."""
        return projects_within(tenants)

    def save_model(
        self, request: HttpRequest, obj: Project, form: Any, change: bool
    ) -> None:
        """Save through the service."""
        places.save_project(obj)

    def delete_model(self, request: HttpRequest, obj: Project) -> None:
        """Delete through the service."""
        places.delete_project(obj)


@admin.register(Site)
class SiteAdmin(OfTenantAdmin):
    """Places where devices stand."""

    list_display = ("slug", "name", "tenant", "project", "region", "country")
    list_select_related = ("tenant", "project")
    list_filter = (TenantFilter, ("region", Typed), ("country", Typed))
    autocomplete_fields = ("tenant", "project")

    def reached(self, tenants: list[Tenant]) -> Q:
        """Return the condition of those within reach."""
        return sites_within(tenants)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Who reaches single sites makes no others."""
        return super().has_add_permission(request) and self._reaches_project(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nor do they end those."""
        may = super().has_delete_permission(request, obj)
        return may and self._reaches_project(request, obj)

    def _reaches_project(self, request: HttpRequest, obj: Site | None = None) -> bool:
        if request.user.is_superuser:
            return True
        return any(
            row.limit is None
            or (
                row.limit.projects
                if obj is None
                else obj.project_id in row.limit.projects
            )
            for row in tenants_of(request, self.right)
            if obj is None or obj.tenant_id == row.pk
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Fix the project where the person reaches the site alone."""
        fixed = super().get_readonly_fields(request, obj)
        return fixed if obj is None else (*fixed, *self.out_of_reach(request, obj))

    def save_model(
        self, request: HttpRequest, obj: Site, form: Any, change: bool
    ) -> None:
        """Save through the service."""
        places.save_site(obj)

    def delete_model(self, request: HttpRequest, obj: Site) -> None:
        """Delete through the service."""
        places.delete_site(obj)


@admin.register(Space)
class SpaceAdmin(OfTenantAdmin):
    """Places inside sites."""

    list_display = ("slug", "name", "kind", "tenant", "site", "parent")
    list_select_related = ("tenant", "site", "parent")
    list_filter = (TenantFilter, ("kind", Typed))
    autocomplete_fields = ("tenant", "site", "parent")

    def reached(self, tenants: list[Tenant]) -> Q:
        """Return the condition of those within reach."""
        return at_site_within(tenants)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Fix the site of what exists, too."""
        fixed = super().get_readonly_fields(request, obj)
        return fixed if obj is None else (*fixed, "site")

    def save_model(
        self, request: HttpRequest, obj: Space, form: Any, change: bool
    ) -> None:
        """Save through the service."""
        spaces.save_space(obj)

    def delete_model(self, request: HttpRequest, obj: Space) -> None:
        """Delete through the service."""
        spaces.delete_space(obj)
