"""REST: maintenance windows."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, cast
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from iotplatform.common.etags import VersionedView
from iotplatform.common.problems import BadInput, NotFound
from iotplatform.common.serializers import StrictSerializer
from registry.api_base import TenantScopedMixin
from registry.permissions import Right
from registry.selectors.devices import get_device
from registry.selectors.places import get_site
from state.models import MaintenanceWindow
from state.selectors.maintenance import get_window, list_windows
from state.services.maintenance import change_window, delete_window, open_window


class WindowChangeSerializer(StrictSerializer):
    """What of a window may be changed: when, and why."""

    from_at = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)
    reason = serializers.CharField(max_length=200, required=False)


class WindowSerializer(StrictSerializer):
    """Work at a device, or at all devices of a site."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    tenant = serializers.CharField(source="tenant.slug", required=False)
    device = serializers.CharField(
        source="device.uid", required=False, allow_null=True, default=None
    )
    site = serializers.CharField(
        source="site.slug", required=False, allow_null=True, default=None
    )
    from_at = serializers.DateTimeField()
    until = serializers.DateTimeField()
    reason = serializers.CharField(max_length=200)
    created_at = serializers.DateTimeField(read_only=True)
    created_by = serializers.CharField(
        source="created_by.username", read_only=True, allow_null=True, default=None
    )


class WindowFilter(django_filters.FilterSet):  # type: ignore[misc]
    """What a list of windows may be narrowed by."""

    device = django_filters.CharFilter("device__uid")
    site = django_filters.CharFilter("site__slug")


class WindowListView(
    TenantScopedMixin, VersionedView, GenericAPIView[MaintenanceWindow]
):
    """Maintenance windows: past, in force and to come."""

    serializer_class = WindowSerializer
    filterset_class = WindowFilter

    def get_queryset(self) -> QuerySet[MaintenanceWindow]:
        """Return the windows that the caller may see."""
        return list_windows(tenants=self.tenants)

    @extend_schema(
        operation_id="maintenance_windows_list", responses=WindowSerializer(many=True)
    )
    def get(self, request: Request) -> Response:
        """List maintenance windows."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(responses={201: WindowSerializer})
    def post(self, request: Request) -> Response:
        """Announce work; until it ends, its devices open no alarm."""
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        data = cast("dict[str, Any]", given.validated_data)
        tenant = self.resolve_tenant()
        self.require(Right.OPERATE, tenant.pk)
        window = open_window(
            tenant=tenant,
            device=self._found("device", get_device, tenant, uid=_name(data, "device")),
            site=self._found("site", get_site, tenant, slug=_name(data, "site")),
            from_at=data["from_at"],
            until=data["until"],
            reason=data["reason"],
            by=self.caller,
        )
        return self.versioned(WindowSerializer(window).data, status=201)

    @staticmethod
    def _found(field: str, get: Any, tenant: Any, **name: str | None) -> Any:
        """Return the named object; one that is not the tenant's is bad input."""
        if None in name.values():
            return None
        try:
            return get(tenants=[tenant], **name)
        except NotFound as error:
            raise BadInput(
                errors=[{"field": field, "message": str(error.detail)}]
            ) from error


class WindowView(TenantScopedMixin, VersionedView, GenericAPIView[MaintenanceWindow]):
    """One maintenance window."""

    serializer_class = WindowSerializer
    queryset = MaintenanceWindow.objects.none()  # names the model to the schema

    def get(self, request: Request, window_id: UUID) -> Response:
        """Return one."""
        window = get_window(tenants=self.tenants, window_id=window_id)
        return self.versioned(WindowSerializer(window).data)

    @extend_schema(request=WindowChangeSerializer, responses=WindowSerializer)
    def patch(self, request: Request, window_id: UUID) -> Response:
        """Change when and why; ``until`` now ends it."""
        window = get_window(tenants=self.tenants, window_id=window_id)
        self.require(Right.OPERATE, window.tenant_id)
        given = WindowChangeSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        with self._as_seen(window):
            window = change_window(window, **given.validated_data)
        return self.versioned(WindowSerializer(window).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, window_id: UUID) -> Response:
        """Remove it."""
        window = get_window(tenants=self.tenants, window_id=window_id)
        self.require(Right.OPERATE, window.tenant_id)
        with self._as_seen(window):
            delete_window(window)
        return Response(status=204)

    def _as_seen(self, window: MaintenanceWindow) -> AbstractContextManager[None]:
        def shown() -> Mapping[str, Any]:
            again = get_window(tenants=self.tenants, window_id=window.public_id)
            return WindowSerializer(again).data

        return self.as_seen(window, shown)


def _name(data: dict[str, Any], field: str) -> str | None:
    """Return the name under a field, which the serializer nests or leaves None."""
    given = data.get(field)
    return next(iter(given.values())) if isinstance(given, dict) else given
