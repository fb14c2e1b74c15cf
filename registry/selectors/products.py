"""Reads of products, their hardware revisions and batches."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from django.db.models import QuerySet

from registry.models import Batch, HardwareRevision, Product, Tenant
from registry.selectors.slugs import get_by_slug


def list_products(*, tenants: Sequence[Tenant]) -> QuerySet[Product]:
    """Return the products of these tenants."""
    return Product.objects.filter(tenant__in=tenants).select_related("tenant")


def get_product(*, tenants: Sequence[Tenant], slug: str) -> Product:
    """Return a product; raises NoSuchObject or AmbiguousSlug."""
    rows = Product.objects.select_related("tenant")
    return get_by_slug(rows, tenants=tenants, slug=slug, what="product")


def list_revisions(*, tenants: Sequence[Tenant]) -> QuerySet[HardwareRevision]:
    """Return the hardware revisions of these tenants' products."""
    rows = HardwareRevision.objects.filter(tenant__in=tenants)
    return rows.select_related("tenant", "product")


def get_revision(*, tenants: Sequence[Tenant], slug: str) -> HardwareRevision:
    """Return a hardware revision; raises NoSuchObject or AmbiguousSlug."""
    rows = list_revisions(tenants=tenants)
    return get_by_slug(rows, tenants=tenants, slug=slug, what="hardware revision")


def list_batches(*, tenants: Sequence[Tenant]) -> QuerySet[Batch]:
    """Return the manufacturing batches of these tenants."""
    rows = Batch.objects.filter(tenant__in=tenants)
    return rows.select_related("tenant", "hardware_revision__product")


def get_batch(*, tenants: Sequence[Tenant], slug: str) -> Batch:
    """Return a batch; raises NoSuchObject or AmbiguousSlug."""
    rows = list_batches(tenants=tenants)
    return get_by_slug(rows, tenants=tenants, slug=slug, what="batch")


def list_declared_keys(*, tenants: Sequence[Tenant]) -> dict[str, list[str]]:
    """Return the keys that products declare, sorted, by where a document has them.

    Inside a searchable attribute each inner property is a key of its own.
    """
    found: dict[str, set[str]] = {"attr": set(), "reported": set(), "metric": set()}
    rows = Product.objects.filter(tenant__in=tenants).values_list(
        "attributes_schema", "reported_keys", "metrics"
    )
    for schema, reported, metrics in rows.distinct():
        for name, rule in _searchable(schema).items():
            found["attr"].update(_inner_keys(name, rule))
        found["reported"].update(reported)
        found["metric"].update(metric["name"] for metric in metrics)
    return {where: sorted(keys) for where, keys in found.items()}


def list_declared_configs(*, tenant: Tenant) -> list[tuple[int, str, dict[str, Any]]]:
    """Return key, slug and configuration of the tenant's products that declare it."""
    rows = Product.objects.filter(tenant=tenant).exclude(config_schema={})
    return list(rows.order_by("slug").values_list("pk", "slug", "config_schema"))


def list_config_schemas(product_ids: Collection[int]) -> dict[str, dict[str, Any]]:
    """Return the declared configuration of those of these products that have one."""
    rows = Product.objects.filter(pk__in=list(product_ids)).exclude(config_schema={})
    return dict(rows.order_by("slug").values_list("slug", "config_schema"))


def list_config_schemas_by_id(
    product_ids: Collection[int],
) -> dict[int, dict[str, Any]]:
    """Return the same by the products' keys."""
    rows = Product.objects.filter(pk__in=list(product_ids)).exclude(config_schema={})
    return dict(rows.values_list("pk", "config_schema"))


def _searchable(schema: dict[str, Any]) -> dict[str, Any]:
    declared = schema.get("properties")
    rules = declared.items() if isinstance(declared, dict) else ()
    return {
        name: rule
        for name, rule in rules
        if isinstance(rule, dict) and rule.get("searchable") is True
    }


def _inner_keys(name: str, rule: Any) -> Iterator[str]:
    inner = rule.get("properties") if isinstance(rule, dict) else None
    if not isinstance(inner, dict) or not inner:
        yield name
        return
    for key, below in inner.items():
        yield from _inner_keys(f"{name}.{key}", below)
