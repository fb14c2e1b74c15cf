"""Writes of products."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from registry.models import Device, Product, Tenant
from registry.services.rows import delete_unused, save_checked


def create_product(
    *, tenant: Tenant, slug: str, name: str = "", **fields: Any
) -> Product:
    """Make a product. Raises BadInput naming each field that is wrong."""
    return save_product(Product(tenant=tenant, slug=slug, name=name or slug, **fields))


def save_product(product: Product) -> Product:
    """Save a product as it stands. Raises BadInput naming what is wrong."""
    save_checked(product)
    return product


@transaction.atomic
def update_product(product: Product, **changes: Any) -> Product:
    """Change a product; devices that exist keep their attributes as they are."""
    row = Product.objects.select_for_update(no_key=True).get(pk=product.pk)
    for field, value in changes.items():
        setattr(row, field, value)
    return save_product(row)


def delete_product(product: Product) -> None:
    """Delete a product; raises InUse while a device is of it."""
    delete_unused(product, Device.objects.filter(product=product))
