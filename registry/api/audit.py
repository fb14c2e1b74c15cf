"""REST: the audit log, read-only."""

from __future__ import annotations

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from iotplatform.common.instants import FromToFilterSet, InstantFilter
from iotplatform.common.pagination import OpaqueCursorPagination
from iotplatform.common.problems import Forbidden
from registry.api.base import TenantScopedMixin
from registry.api.serializers.audit import AuditEntrySerializer
from registry.models import AuditAction, AuditEntry
from registry.permissions import Right, is_platform_admin, may
from registry.selectors.audit import find_object, list_entries, name_keys


class NewestFirst(OpaqueCursorPagination):
    ordering = "-pk"


class AuditFilter(FromToFilterSet):
    """Filters of the audit log."""

    user = django_filters.CharFilter(field_name="actor")
    kind = django_filters.CharFilter()
    object = django_filters.CharFilter(
        method="filter_object",
        label="object",
        help_text="The beginning of its name, or its id.",
    )
    device = django_filters.CharFilter(field_name="device__uid")
    action = django_filters.MultipleChoiceFilter(choices=AuditAction.choices)
    from_ = InstantFilter(field_name="at", lookup_expr="gte")
    to = InstantFilter(field_name="at", lookup_expr="lt")

    class Meta:
        model = AuditEntry
        fields: list[str] = []

    def filter_object(
        self, rows: QuerySet[AuditEntry], name: str, value: str
    ) -> QuerySet[AuditEntry]:
        return find_object(rows, value)


class AuditListView(TenantScopedMixin, GenericAPIView[AuditEntry]):
    """What people and their tokens changed."""

    serializer_class = AuditEntrySerializer
    pagination_class = NewestFirst
    filterset_class = AuditFilter
    queryset = AuditEntry.objects.none()  # names the model to the schema

    def get_queryset(self) -> QuerySet[AuditEntry]:
        """Return the entries that the caller may read; 403 without the right."""
        tenants = [t for t in self.tenants if may(self.caller, t.pk, Right.AUDIT)]
        of_platform = is_platform_admin(self.caller) and not self._is_narrowed()
        if not tenants and not of_platform:
            raise Forbidden(f"This needs the right to {Right.AUDIT} in a tenant.")
        return list_entries(tenants=tenants, of_platform=of_platform)

    @extend_schema(
        operation_id="audit_list",
        summary="The audit log, newest first",
        responses=AuditEntrySerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """List changes with the values before and after."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        rows = self.get_serializer(name_keys(page or []), many=True).data
        return self.get_paginated_response(rows)

    def _is_narrowed(self) -> bool:
        return "tenant" in self.request.query_params
