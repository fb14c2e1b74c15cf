"""Whose rows a person has before them in the admin: of the tenants they manage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from django.contrib import admin
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

from registry.models import Tenant
from registry.permissions import Right, tenants_where
from registry.selectors.access import carry, within

if TYPE_CHECKING:
    from registry.models import User

    Base = admin.ModelAdmin[Any]
else:
    Base = object


def tenants_of(request: HttpRequest, right: Right) -> list[Tenant]:
    """Return where the person has the right, read once for each request."""
    known: dict[Right, list[Tenant]] = request.__dict__.setdefault("admin_tenants", {})
    if right not in known:
        known[right] = tenants_where(cast("User", request.user), right)
    return known[right]


class OfTenants(Base):
    """Mixed into the admin of rows that belong to a tenant.

    What the person may do is asked of ``registry.permissions`` alone. An admin without
    this mixin is the platform's: Django asks the user, who refuses all but superusers.
    Rows that only services write have ``ReadOnly`` before it.
    """

    right = Right.MANAGE
    # Rows that belong to no place, as products: a limited member looks, and no more.
    is_of_whole_tenant = False

    def reached(self, tenants: list[Tenant]) -> Q:
        """Return the condition of the rows that these tenants' caller reaches."""
        return Q(tenant__in=tenants)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Leave out what the person does not reach."""
        rows = super().get_queryset(request)
        if request.user.is_superuser:
            return rows  # those of no tenant, too
        return rows.filter(self.reached(tenants_of(request, self.right)))

    def get_field_queryset(self, db: Any, db_field: Any, request: Any) -> Any:
        """Offer and take only rows that their own list would show the person."""
        related = self.admin_site._registry.get(db_field.remote_field.model)
        if isinstance(related, OfTenants) and not request.user.is_superuser:
            return related.get_queryset(request)
        return super().get_field_queryset(db, db_field, request)

    def out_of_reach(self, request: HttpRequest, obj: Any) -> tuple[str, ...]:
        """Name the fields of a row whose value the person's own lists do not show.

        A device may stand at a site within reach and be of a project that is not: such
        a field cannot be offered, and whoever saves the rest must not empty it.
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
        """Give the row the person's own tenant, whose limit the services obey."""
        row = super().save_form(request, form, change)
        if request.user.is_superuser:
            return row
        return carry(row, tenants_of(request, self.right))

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whether there may be something to see."""
        return self._may(request, None)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether they hold the right, in the row's tenant if there is a row."""
        return self._may(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whether there is a tenant to add to."""
        return self._may(request, None, writes=True)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the row is theirs to change."""
        return self._may(request, obj, writes=True)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the row is theirs to delete."""
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
    """Mixed into the admin of rows that belong to a device."""

    def reached(self, tenants: list[Tenant]) -> Q:
        """Return the condition of rows whose device is within reach."""
        return within(tenants, device="device")
