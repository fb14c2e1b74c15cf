"""Which rows a person sees in the admin: those of the tenants they manage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from registry.models import Tenant
from registry.permissions import Right, tenants_where
from registry.selectors.access import attach_caller_tenant, within

if TYPE_CHECKING:
    from registry.models import User

    Base = admin.ModelAdmin[Any]
else:
    Base = object


def tenants_of(request: HttpRequest, right: Right) -> list[Tenant]:
    """Return the tenants where the person has the right, read once per request."""
    known: dict[Right, list[Tenant]] = request.__dict__.setdefault("admin_tenants", {})
    if right not in known:
        known[right] = tenants_where(cast("User", request.user), right)
    return known[right]


class OfTenants(Base):
    """An admin mixin for rows that belong to a tenant.

    ``registry.permissions`` alone decides what the person may do. An admin without this
    mixin is for superusers: Django asks the user object, which refuses everybody else.
    Rows that only services write put ``ReadOnly`` before this mixin.
    """

    right = Right.MANAGE
    # For rows without a place, such as products: limited members may only view them.
    is_of_whole_tenant = False

    def access_condition(self, tenants: list[Tenant]) -> Q:
        """Return the condition of the rows that the caller of these may access."""
        return Q(tenant__in=tenants)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Leave out the rows that the person may not access."""
        rows = super().get_queryset(request)
        if request.user.is_superuser:
            return rows  # including rows without a tenant
        return rows.filter(self.access_condition(tenants_of(request, self.right)))

    def get_field_queryset(self, db: Any, db_field: Any, request: Any) -> Any:
        """Offer and accept only rows that the person sees in their own list."""
        related = self.admin_site._registry.get(db_field.remote_field.model)
        if isinstance(related, OfTenants) and not request.user.is_superuser:
            return related.get_queryset(request)
        return super().get_field_queryset(db, db_field, request)

    def beyond_access(self, request: HttpRequest, obj: Any) -> tuple[str, ...]:
        """Return the fields of a row whose values the person may not access.

        A device may stand at a site that the person may access and belong to a project
        that they may not. Such a field cannot be offered, and saving the others must
        not empty it.
        """
        if all(row.limit is None for row in tenants_of(request, self.right)):
            return ()
        found = []
        for key in self.opts.fields:
            value = getattr(obj, key.attname)
            related: Any = self.admin_site._registry.get(cast("Any", key.related_model))
            if value is not None and isinstance(related, OfTenants):
                if not related.get_queryset(request).filter(pk=value).exists():
                    found.append(key.name)
        return tuple(found)

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        """Give the row the person's tenant object, whose limit the services obey."""
        row = super().save_form(request, form, change)
        if request.user.is_superuser:
            return row
        return attach_caller_tenant(row, tenants_of(request, self.right))

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._may(request, None)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether they have the right, in the row's tenant if there is a row."""
        return self._may(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._may(request, None, writes=True)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, obj, writes=True)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, obj, writes=True)

    def _may(
        self, request: HttpRequest, obj: Model | None, *, writes: bool = False
    ) -> bool:
        if request.user.is_superuser:
            return True
        tenants = tenants_of(request, self.right)
        if writes and self.is_of_whole_tenant:
            tenants = [row for row in tenants if row.limit is None]
        if obj is None:
            return bool(tenants)
        of = obj.pk if isinstance(obj, Tenant) else obj.tenant_id  # type: ignore[attr-defined]
        return of in {row.pk for row in tenants}


class OfDevices(OfTenants):
    """An admin mixin for rows that belong to a device."""

    def access_condition(self, tenants: list[Tenant]) -> Q:
        return within(tenants, device="device")
