"""Django admin: tenants, projects, sites, spaces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

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
    list_display = ("slug", "name", "created_at")
    search_fields = ("slug", "name")
    readonly_fields = ("public_id", "created_at")

    def access_condition(self, tenants: list[Tenant]) -> Q:
        return Q(pk__in=[row.pk for row in tenants])

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Only superusers make tenants."""
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only superusers rename tenants."""
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only superusers delete tenants."""
        return bool(request.user.is_superuser)

    def save_model(
        self, request: HttpRequest, obj: Tenant, form: Any, change: bool
    ) -> None:
        tenants.save_tenant(obj)

    def delete_model(self, request: HttpRequest, obj: Tenant) -> None:
        tenants.delete_tenant(obj)


class OfTenantAdmin(OfTenants, ServiceAdmin[Any]):
    """Objects with a slug in a tenant; services save and delete them."""

    save_row: Callable[[Any], Any]
    delete_row: Callable[[Any], None]
    fixed: tuple[str, ...] = ("tenant",)  # never change once the object exists
    search_fields: ClassVar[tuple[str, ...]] = ("slug", "name")
    # The order of the index on slugs.
    ordering: ClassVar[tuple[str, ...]] = ("tenant_id", "slug")

    def get_sortable_by(self, request: HttpRequest) -> Any:
        """Offer every column: a tenant has at most thousands of these."""
        return self.get_list_display(request)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        always = ("public_id", "created_at")
        return always if obj is None else (*always, *self.fixed)

    def save_model(
        self, request: HttpRequest, obj: Any, form: Any, change: bool
    ) -> None:
        self.save_row(obj)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.delete_row(obj)


@admin.register(Project)
class ProjectAdmin(OfTenantAdmin):
    save_row = staticmethod(places.save_project)
    delete_row = staticmethod(places.delete_project)
    is_of_whole_tenant = True
    list_display = ("slug", "name", "tenant", "created_at")
    list_select_related = ("tenant",)
    list_filter = (TenantFilter,)
    autocomplete_fields = ("tenant",)

    def access_condition(self, tenants: list[Tenant]) -> Q:
        return projects_within(tenants)


@admin.register(Site)
class SiteAdmin(OfTenantAdmin):
    save_row = staticmethod(places.save_site)
    delete_row = staticmethod(places.delete_site)
    list_display = ("slug", "name", "tenant", "project", "region", "country")
    list_select_related = ("tenant", "project")
    list_filter = (TenantFilter, ("region", Typed), ("country", Typed))
    autocomplete_fields = ("tenant", "project")

    def access_condition(self, tenants: list[Tenant]) -> Q:
        return sites_within(tenants)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Members limited to single sites add none."""
        return super().has_add_permission(request) and self._may_access_project(request)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Members limited to single sites delete none."""
        may = super().has_delete_permission(request, obj)
        return may and self._may_access_project(request, obj)

    def _may_access_project(
        self, request: HttpRequest, obj: Site | None = None
    ) -> bool:
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
        """Keep the project fixed if the person may access the site but not it."""
        fixed = super().get_readonly_fields(request, obj)
        return fixed if obj is None else (*fixed, *self.beyond_access(request, obj))


@admin.register(Space)
class SpaceAdmin(OfTenantAdmin):
    """Places inside sites."""

    save_row = staticmethod(spaces.save_space)
    delete_row = staticmethod(spaces.delete_space)
    fixed = ("tenant", "site")
    list_display = ("slug", "name", "kind", "tenant", "site", "parent")
    list_select_related = ("tenant", "site", "parent")
    list_filter = (TenantFilter, ("kind", Typed))
    autocomplete_fields = ("tenant", "site", "parent")

    def access_condition(self, tenants: list[Tenant]) -> Q:
        return at_site_within(tenants)
