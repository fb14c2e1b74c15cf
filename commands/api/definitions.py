"""REST: command definitions, the built-in ones and the tenants' own."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.pagination import Cursor
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param

from commands.api.serializers.definitions import DefinitionSerializer
from commands.definitions import DEFINITIONS
from commands.exceptions import DefinitionRefused
from commands.models import CommandDefinition
from commands.selectors.definitions import get_definition, list_definitions
from commands.services.definitions import (
    change_definition,
    create_definition,
    delete_definition,
)
from iotplatform.common.etags import VersionedView
from iotplatform.common.pagination import OpaqueCursorPagination
from iotplatform.common.problems import BadInput, Forbidden
from registry.api.base import TENANT, TenantScopedMixin
from registry.api.references import with_objects
from registry.permissions import Right, tenants_where

PRODUCT = OpenApiParameter("product", str, description="The slug of a product.")


class ListPagination(OpaqueCursorPagination):
    """Pages of a list in memory; the cursor is a place in it."""

    offset_cutoff = 1_000_000

    def paginate_queryset(
        self, queryset: Any, request: Request, view: Any = None
    ) -> Any:
        """Return one page of the list."""
        self.base_url = request.build_absolute_uri()
        cursor = self.decode_cursor(request)
        self.start = cursor.offset if cursor else 0
        self.end = self.start + self.get_page_size(request)
        self.total = len(queryset)
        return queryset[self.start : self.end]

    def get_next_link(self) -> str | None:
        return self._link(self.end) if self.end < self.total else None

    def get_previous_link(self) -> str | None:
        size = self.end - self.start
        return self._link(max(0, self.start - size)) if self.start else None

    def _link(self, offset: int) -> str:
        if not offset:
            return str(remove_query_param(self.base_url or "", self.cursor_query_param))
        return str(self.encode_cursor(Cursor(offset, reverse=False, position=None)))


class DefinitionListView(
    TenantScopedMixin, VersionedView, GenericAPIView[CommandDefinition]
):
    """The commands that devices of the caller's tenants take."""

    serializer_class = DefinitionSerializer
    pagination_class = ListPagination
    queryset = CommandDefinition.objects.none()  # names the model to the schema

    @extend_schema(
        operation_id="command_definitions_list",
        parameters=[PRODUCT],
        responses=DefinitionSerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """List command definitions: the built-in ones, then the tenants' own by name.

        `product` leaves out those for other products.
        """
        rows = list_definitions(tenants=self.tenants)
        if (product := request.query_params.get("product")) is not None:
            rows = _for_product(rows, product)
        own = rows.order_by("name", "tenant__slug", "pk")
        page = self.paginate_queryset([*DEFINITIONS.values(), *own])
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(responses={201: DefinitionSerializer})
    def post(self, request: Request) -> Response:
        """Define a command; needs the right to manage in its tenant.

        409 naming `name` for a built-in name, and for one that is defined for the same
        products. A definition for one product goes before one for all.
        """
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        fields = dict(given.validated_data)
        fields.pop("tenant", None)
        tenant = self.resolve_tenant()
        self.require(Right.MANAGE, tenant.pk)
        self.require_whole_tenant(tenant)
        row = create_definition(tenant=tenant, **with_objects(fields, tenant=tenant))
        return self.versioned(self.get_serializer(row).data, status=201)


class DefinitionView(
    TenantScopedMixin, VersionedView, GenericAPIView[CommandDefinition]
):
    """One command definition, by name; `product` chooses among several of a name."""

    query_parameters: ClassVar = (TENANT, PRODUCT)
    serializer_class = DefinitionSerializer
    queryset = CommandDefinition.objects.none()  # names the model to the schema

    def get(self, request: Request, name: str) -> Response:
        """Show a command definition."""
        found = DEFINITIONS.get(name) or self._row(name)
        return self.versioned(self.get_serializer(found).data)

    def patch(self, request: Request, name: str) -> Response:
        """Change a command definition; its tenant and product stay.

        Commands and jobs that were asked for before keep the old one. 409 for a
        built-in one.
        """
        row = self._own_row(name)
        given = self.get_serializer(data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        fields = dict(given.validated_data)
        product = row.product.slug if row.product else None
        for field, present in (("tenant", row.tenant.slug), ("product", product)):
            if fields.pop(field, present) != present:
                raise BadInput(
                    errors=[{"field": field, "message": "This cannot be changed."}]
                )
        with self._as_seen(row):
            row = change_definition(row, **fields)
        return self.versioned(self.get_serializer(row).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, name: str) -> Response:
        """Delete a command definition; what was asked for before goes on."""
        row = self._own_row(name)
        with self._as_seen(row):
            delete_definition(row)
        return Response(status=204)

    def _row(self, name: str) -> CommandDefinition:
        product = self.request.query_params.get("product")
        return get_definition(tenants=self.tenants, name=name, product=product)

    def _own_row(self, name: str) -> CommandDefinition:
        """Return a row that the caller may change."""
        if name in DEFINITIONS:
            if not tenants_where(self.caller, Right.MANAGE):
                raise Forbidden(f"This needs the right to {Right.MANAGE}.")
            raise DefinitionRefused(f"'{name}' is built in: it cannot be changed.")
        row = self._row(name)
        self.require(Right.MANAGE, row.tenant_id)
        self.require_whole_tenant(row.tenant)
        return row

    def _as_seen(self, row: CommandDefinition) -> AbstractContextManager[None]:
        def shown() -> Mapping[str, Any]:
            current = list_definitions(tenants=self.tenants).get(pk=row.pk)
            return dict(self.get_serializer(current).data)

        return self.as_seen(row, shown)


def _for_product(
    rows: QuerySet[CommandDefinition], slug: str
) -> QuerySet[CommandDefinition]:
    if "\0" in slug:
        return rows.none()
    return rows.filter(product=None) | rows.filter(product__slug=slug)
