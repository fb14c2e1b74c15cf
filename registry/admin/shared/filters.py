"""Filters of lists whose values may be many: links while they are few, else typed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest

from registry.admin.shared.tenant_rows import OfTenants, tenants_of
from registry.models import Tenant

FEW = 20  # links that a person reads; of more, they type the one they want
TYPED = "admin/typed_filter.html"


def typed(changelist: ChangeList, name: str, value: str | None) -> dict[str, Any]:
    """Return what a filter to type into shows; it keeps what else is asked for."""
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
    """By a field whose value is typed: no list of all that there are is read."""

    template = TYPED

    def expected_parameters(self) -> list[str | None]:
        """Return the field's own name."""
        return [self.field_path]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """Show what was typed."""
        values: Any = self.used_parameters.get(self.field_path)
        yield typed(changelist, str(self.field_path), values[-1] if values else None)


class TenantFilter(admin.SimpleListFilter):
    """By the tenant's slug: links while the person has few tenants."""

    title = parameter_name = "tenant"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        if not self.lookup_choices:
            self.template = TYPED

    def lookups(
        self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        """Offer the person's tenants, if those are few."""
        if request.user.is_superuser or not isinstance(model_admin, OfTenants):
            rows = Tenant.objects.order_by("slug").values_list("slug", flat=True)
            slugs = list(rows[: FEW + 1])
        else:
            slugs = [row.slug for row in tenants_of(request, model_admin.right)]
        return [] if len(slugs) > FEW else [(slug, slug) for slug in slugs]

    def has_output(self) -> bool:
        """Whoever has one tenant only need not choose it."""
        return len(self.lookup_choices) != 1

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """Show links, or the field to type into."""
        if self.lookup_choices:
            yield from super().choices(changelist)
        else:
            yield typed(changelist, "tenant", self.value())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Keep the rows of this tenant."""
        value = self.value()
        return queryset.filter(tenant__slug=value) if value else queryset
