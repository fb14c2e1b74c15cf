"""REST: the audit log, to read."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from iotplatform.common.instants import InstantFilter
from iotplatform.common.pagination import OpaqueCursorPagination
from iotplatform.common.problems import Forbidden
from registry.api.base import TenantScopedMixin
from registry.api.serializers.audit import AuditEntrySerializer
from registry.models import AuditAction, AuditEntry
from registry.permissions import Right, is_platform_admin, may
from registry.selectors.audit import find_object, list_entries, tell


class NewestFirst(OpaqueCursorPagination):
    """The newest first: that is what people look for in a history."""

    ordering = "-pk"


class AuditFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Filters of the audit log."""

    user = django_filters.CharFilter(field_name="actor")
    kind = django_filters.CharFilter()
    object = django_filters.CharFilter(
        method="filter_object",
        label="object",
        help_text="What its name begins with, or its id.",
    )
    device = django_filters.CharFilter(field_name="device__uid")
    action = django_filters.MultipleChoiceFilter(choices=AuditAction.choices)

    class Meta:
        model = AuditEntry
        fields: list[str] = []

    @classmethod
    def get_filters(cls) -> Any:
        """Add ``from``, which Python does not allow as a name above, and ``to``."""
        filters = super().get_filters()
        filters["from"] = InstantFilter(field_name="at", lookup_expr="gte")
        filters["to"] = InstantFilter(field_name="at", lookup_expr="lt")
        return filters

    def filter_object(
        self, rows: QuerySet[AuditEntry], name: str, value: str
    ) -> QuerySet[AuditEntry]:
        """Keep what is called so."""
        return find_object(rows, value)


class AuditListView(TenantScopedMixin, GenericAPIView[AuditEntry]):
    """What people and their tokens changed."""

    serializer_class = AuditEntrySerializer
    pagination_class = NewestFirst
    filterset_class = AuditFilter
    queryset = AuditEntry.objects.none()  # names the model to the schema

    def get_queryset(self) -> QuerySet[AuditEntry]:
        """Return what the caller may read; refuse who may read no log."""
        tenants = [t for t in self.tenants if may(self.caller, t.pk, Right.AUDIT)]
        of_platform = is_platform_admin(self.caller) and not self._is_narrowed()
        if not tenants and not of_platform:
            raise Forbidden(f"This needs the right to {Right.AUDIT} in a tenant.")
        return list_entries(tenants=tenants, of_platform=of_platform)

    @extend_schema(
        operation_id="audit_list",
        summary="The audit log, the newest first",
        responses=AuditEntrySerializer(many=True),
    )
    def get(self, request: Request) -> Response:
        """List changes with what was before and after."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        rows = self.get_serializer(tell(page or []), many=True).data
        return self.get_paginated_response(rows)

    def _is_narrowed(self) -> bool:
        return "tenant" in self.request.query_params
