"""Reads of products."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import QuerySet

from registry.models import Product, Tenant
from registry.selectors.slugs import get_by_slug


def list_products(*, tenants: Sequence[Tenant]) -> QuerySet[Product]:
    """Return the products of these tenants."""
    return Product.objects.filter(tenant__in=tenants).select_related("tenant")


def get_product(*, tenants: Sequence[Tenant], slug: str) -> Product:
    """Return a product; raises NoSuchObject or AmbiguousSlug."""
    rows = Product.objects.select_related("tenant")
    return get_by_slug(rows, tenants=tenants, slug=slug, what="product")


def searchable_attributes(*, tenants: Sequence[Tenant]) -> list[str]:
    """Return the attributes that some product of theirs declares searchable, sorted."""
    schemas = (
        Product.objects.filter(tenant__in=tenants)
        .exclude(attributes_schema={})
        .values_list("attributes_schema", flat=True)
    )
    return sorted(
        {
            name
            for schema in schemas
            for name, rule in schema.get("properties", {}).items()
            if isinstance(rule, dict) and rule.get("searchable") is True
        }
    )
