"""REST: products, their hardware revisions and batches."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from iotplatform.common.flags import FlagFilter, read_flag
from registry.api.serializers.devices import (
    BatchSerializer,
    HardwareRevisionSerializer,
    ProductSerializer,
)
from registry.api.slug_viewset import SluggedViewSet
from registry.choices import DeviceKind
from registry.models import Batch, HardwareRevision, Product
from registry.selectors.products import (
    get_batch,
    get_product,
    get_revision,
    list_batches,
    list_products,
    list_revisions,
)
from registry.services import products

FORCE = OpenApiParameter(
    "force", bool, description="Change the schema even if devices do not match it."
)


class ProductFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Filters of the list of products."""

    kind = django_filters.ChoiceFilter(choices=DeviceKind.choices)
    takes_commands = FlagFilter()


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
        force = read_flag(self.request.query_params, "force")
        return products.update_product(row, force=force, **fields)

    @extend_schema(parameters=[FORCE])
    def partial_update(self, request: Request, slug: str) -> Response:
        """Change {one}; its tenant stays.

        409 for an `attributes_schema` that devices of the product do not match, with
        their number (`devices`) and some examples (`uids`).
        """
        return super().partial_update(request, slug)

    def remove(self, row: Product) -> None:
        products.delete_product(row)


class HardwareRevisionFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Filters of the list of hardware revisions."""

    product = django_filters.CharFilter(field_name="product__slug")


class HardwareRevisionViewSet(SluggedViewSet):
    """Hardware revisions of the products of the caller's tenants."""

    serializer_class = HardwareRevisionSerializer
    filterset_class = HardwareRevisionFilter

    def rows(self) -> QuerySet[HardwareRevision]:
        return list_revisions(tenants=self.tenants)

    def row(self, slug: str) -> HardwareRevision:
        return get_revision(tenants=self.tenants, slug=slug)

    def add(self, **fields: Any) -> HardwareRevision:
        return products.create_revision(**fields)

    def change(self, row: HardwareRevision, **fields: Any) -> HardwareRevision:
        return products.update_revision(row, **fields)

    def remove(self, row: HardwareRevision) -> None:
        products.delete_revision(row)


class BatchFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Filters of the list of batches."""

    hardware_revision = django_filters.CharFilter(field_name="hardware_revision__slug")
    product = django_filters.CharFilter(field_name="hardware_revision__product__slug")


class BatchViewSet(SluggedViewSet):
    """Manufacturing batches of the caller's tenants."""

    serializer_class = BatchSerializer
    filterset_class = BatchFilter

    def rows(self) -> QuerySet[Batch]:
        return list_batches(tenants=self.tenants)

    def row(self, slug: str) -> Batch:
        return get_batch(tenants=self.tenants, slug=slug)

    def add(self, **fields: Any) -> Batch:
        return products.create_batch(**fields)

    def change(self, row: Batch, **fields: Any) -> Batch:
        return products.update_batch(row, **fields)

    def remove(self, row: Batch) -> None:
        products.delete_batch(row)
