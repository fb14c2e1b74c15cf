"""List filters with possibly many values: links while they are few, else typed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest

from registry.admin.shared.tenant_rows import OfTenants, tenants_of
from registry.models import Tenant

FEW = 20  # as many links as a person reads; with more values, they type one
TYPED = "admin/typed_filter.html"


def typed(changelist: ChangeList, name: str, value: str | None) -> dict[str, Any]:
    """Return the context of a filter with a typed value; other filters are kept."""
    others = {
        key: values[-1] if isinstance(values, list) else values
        for key, values in changelist.get_filters_params().items()
        if key != name
    }
    if changelist.query:
        others["q"] = changelist.query
    return {
        "name": name,
        "value": value or "",
        "others": list(others.items()),
        "all": changelist.get_query_string(remove=[name]),
    }


class Typed(admin.FieldListFilter):
    """Filters by a typed value, so that no list of all values is read."""

    template = TYPED

    def expected_parameters(self) -> list[str | None]:
        return [self.field_path]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        values: Any = self.used_parameters.get(self.field_path)
        yield typed(changelist, str(self.field_path), values[-1] if values else None)


class TenantFilter(admin.SimpleListFilter):
    """Filters by the tenant's slug: links while the person has few tenants."""

    title = parameter_name = "tenant"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        if not self.lookup_choices:
            self.template = TYPED

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        """Offer the person's tenants if there are few."""
        if request.user.is_superuser or not isinstance(model_admin, OfTenants):
            rows = Tenant.objects.order_by("slug").values_list("slug", flat=True)
            slugs = list(rows[: FEW + 1])
        else:
            slugs = [row.slug for row in tenants_of(request, model_admin.right)]
        return [] if len(slugs) > FEW else [(slug, slug) for slug in slugs]

    def has_output(self) -> bool:
        """Hide the filter from people with one tenant."""
        return len(self.lookup_choices) != 1

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """Show links, or the text field."""
        if self.lookup_choices:
            yield from super().choices(changelist)
        else:
            yield typed(changelist, "tenant", self.value())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return queryset.filter(tenant__slug=value) if value else queryset
