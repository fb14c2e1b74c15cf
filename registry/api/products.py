"""REST: products."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet

from registry.api.slugged import SluggedViewSet
from registry.lifecycle import DeviceKind
from registry.models import Product
from registry.selectors.products import get_product, list_products
from registry.serializers import ProductSerializer
from registry.services import products


class ProductFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Filters of the list of products."""

    kind = django_filters.ChoiceFilter(choices=DeviceKind.choices)
    takes_commands = django_filters.BooleanFilter()


class ProductViewSet(SluggedViewSet):
    """Products of the caller's tenants."""

    serializer_class = ProductSerializer
    filterset_class = ProductFilter

    def rows(self) -> QuerySet[Product]:
        return list_products(tenants=self.tenants)

    def row(self, slug: str) -> Product:
        return get_product(tenants=self.tenants, slug=slug)

    def add(self, **fields: Any) -> Product:
        return products.create_product(**fields)

    def change(self, row: Product, **fields: Any) -> Product:
        return products.update_product(row, **fields)

    def remove(self, row: Product) -> None:
        products.delete_product(row)
