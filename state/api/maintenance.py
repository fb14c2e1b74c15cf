"""REST: maintenance windows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, cast
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from iotplatform.common.etags import VersionedView
from iotplatform.common.instants import (
    FromToFilterSet,
    InstantField,
    InstantFilter,
)
from iotplatform.common.serializers import StrictSerializer
from registry.api.base import TenantScopedMixin
from registry.permissions import Right
from registry.selectors.devices import list_devices
from registry.selectors.places import list_sites
from state.models import MaintenanceWindow
from state.selectors.maintenance import (
    Named,
    Places,
    at_place,
    find_all,
    get_window,
    list_windows,
    places_of,
    require_all_of,
)
from state.services.maintenance import (
    change_window,
    delete_window,
    end_window,
    open_window,
)

# Limits for a person or a script; a job opens the window for its members itself.
MOST_DEVICES = 1_000
MOST_SITES = 200


class WindowChangeSerializer(StrictSerializer):
    """The fields of a window that may change."""

    from_at = InstantField(required=False)
    until = InstantField(required=False)
    reason = serializers.CharField(max_length=200, required=False)


class WindowRequestSerializer(StrictSerializer):
    """Work at devices, or at whole sites: one, or a list."""

    tenant = serializers.CharField(required=False)
    device = serializers.CharField(required=False, allow_null=True)
    devices = serializers.ListField(
        child=serializers.CharField(), required=False, max_length=MOST_DEVICES
    )
    site = serializers.CharField(required=False, allow_null=True)
    sites = serializers.ListField(
        child=serializers.CharField(), required=False, max_length=MOST_SITES
    )
    from_at = InstantField()
    until = InstantField()
    reason = serializers.CharField(max_length=200)


class WindowSerializer(serializers.ModelSerializer[MaintenanceWindow]):
    """Work at devices or sites: the first hundred by name, and the counts."""

    id = serializers.UUIDField(source="public_id")
    tenant = serializers.CharField(source="tenant.slug")
    device = serializers.SerializerMethodField(help_text="Set if there is only one.")
    devices = serializers.SerializerMethodField()
    device_count = serializers.SerializerMethodField()
    site = serializers.SerializerMethodField(help_text="Set if there is only one.")
    sites = serializers.SerializerMethodField()
    site_count = serializers.SerializerMethodField()
    created_by = serializers.CharField(
        source="created_by.username", allow_null=True, default=None
    )

    class Meta:
        model = MaintenanceWindow
        fields = (
            *("id", "tenant", "device", "devices", "device_count"),
            *("site", "sites", "site_count", "from_at", "until", "reason"),
            *("created_at", "created_by"),
        )

    def get_device(self, window: MaintenanceWindow) -> str | None:
        return _only(self._places(window).devices)

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_devices(self, window: MaintenanceWindow) -> list[str]:
        """The uids of the first hundred devices."""
        return self._places(window).devices

    def get_device_count(self, window: MaintenanceWindow) -> int:
        """The number of all devices."""
        return self._places(window).device_count

    def get_site(self, window: MaintenanceWindow) -> str | None:
        return _only(self._places(window).sites)

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_sites(self, window: MaintenanceWindow) -> list[str]:
        """The slugs of the first hundred sites."""
        return self._places(window).sites

    def get_site_count(self, window: MaintenanceWindow) -> int:
        """The number of all sites."""
        return self._places(window).site_count

    def _places(self, window: MaintenanceWindow) -> Places:
        found: dict[int, Places] = self.context["places"]
        return found[window.pk]


class WindowFilter(FromToFilterSet):
    """The filters of the list of windows."""

    device = django_filters.CharFilter(
        method="narrow_place", help_text="The uid of a device named in the window."
    )
    site = django_filters.CharFilter(
        method="narrow_place", help_text="The slug of a site named in the window."
    )
    from_ = InstantFilter(
        field_name="until", lookup_expr="gt", help_text="Ends after this."
    )
    to = InstantFilter(
        field_name="from_at", lookup_expr="lt", help_text="Begins before this."
    )

    def narrow_place(
        self, rows: QuerySet[MaintenanceWindow], name: str, value: str
    ) -> QuerySet[MaintenanceWindow]:
        return at_place(rows, **{name: value})


class WindowBase(TenantScopedMixin, VersionedView):
    """Serialize windows with their places."""

    def serialize_all(self, rows: Sequence[MaintenanceWindow]) -> list[dict[str, Any]]:
        places = places_of(rows, tenants=self.tenants)
        return list(WindowSerializer(rows, many=True, context={"places": places}).data)

    def serialize(self, window: MaintenanceWindow) -> dict[str, Any]:
        return self.serialize_all([window])[0]


class WindowListView(WindowBase, GenericAPIView[MaintenanceWindow]):
    """Maintenance windows: past, in force and to come."""

    serializer_class = WindowSerializer
    filterset_class = WindowFilter

    def get_queryset(self) -> QuerySet[MaintenanceWindow]:
        return list_windows(tenants=self.tenants)

    @extend_schema(
        operation_id="maintenance_windows_list", responses=WindowSerializer(many=True)
    )
    def get(self, request: Request) -> Response:
        """List maintenance windows."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.serialize_all(page or []))

    @extend_schema(request=WindowRequestSerializer, responses={201: WindowSerializer})
    def post(self, request: Request) -> Response:
        """Announce work; its devices raise no alarms until it ends."""
        given = WindowRequestSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        data = cast("dict[str, Any]", given.validated_data)
        tenant = self.resolve_tenant()
        self.require(Right.OPERATE, tenant.pk)
        devices = _named(list_devices(tenants=[tenant]), "uid", data, "device")
        sites = _named(list_sites(tenants=[tenant]), "slug", data, "site")
        window = open_window(
            tenant=tenant,
            devices=devices,
            sites=sites,
            from_at=data["from_at"],
            until=data["until"],
            reason=data["reason"],
            by=self.caller,
        )
        return self.versioned(self.serialize(window), status=201)


class WindowView(WindowBase, GenericAPIView[MaintenanceWindow]):
    """One maintenance window."""

    serializer_class = WindowSerializer
    queryset = MaintenanceWindow.objects.none()  # names the model to the schema

    def get(self, request: Request, window_id: UUID) -> Response:
        """Return a maintenance window."""
        window = get_window(tenants=self.tenants, window_id=window_id)
        return self.versioned(self.serialize(window))

    @extend_schema(request=WindowChangeSerializer, responses=WindowSerializer)
    def patch(self, request: Request, window_id: UUID) -> Response:
        """Change the times or the reason of a window; ``until`` = now ends it."""
        window = self._to_change(window_id)
        given = WindowChangeSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        with self.as_seen(window, partial(self._serialized_now, window_id)):
            window = change_window(window, **given.validated_data)
        return self.versioned(self.serialize(window))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, window_id: UUID) -> Response:
        """Delete a window, for example planned work; held-back alarms are raised."""
        window = self._to_change(window_id)
        with self.as_seen(window, partial(self._serialized_now, window_id)):
            delete_window(window)
        return Response(status=204)

    def _to_change(self, window_id: UUID) -> MaintenanceWindow:
        window = get_window(tenants=self.tenants, window_id=window_id)
        self.require(Right.OPERATE, window.tenant_id)
        require_all_of(window, tenants=self.tenants)
        return window

    def _serialized_now(self, window_id: UUID) -> dict[str, Any]:
        return self.serialize(get_window(tenants=self.tenants, window_id=window_id))


class WindowEndView(WindowBase, GenericAPIView[MaintenanceWindow]):
    """The end of one maintenance window."""

    serializer_class = WindowSerializer
    queryset = MaintenanceWindow.objects.none()  # names the model to the schema

    @extend_schema(request=None, responses={200: WindowSerializer, 204: None})
    def post(self, request: Request, window_id: UUID) -> Response:
        """End a window now; 204 if it had not begun and was deleted."""
        window = get_window(tenants=self.tenants, window_id=window_id)
        self.require(Right.OPERATE, window.tenant_id)
        require_all_of(window, tenants=self.tenants)
        ended = end_window(window, at=timezone.now())
        return (
            Response(status=204) if ended is None else Response(self.serialize(ended))
        )


def _named(
    rows: QuerySet[Named], key: str, data: dict[str, Any], field: str
) -> list[Named]:
    """Return the rows named by ``field`` or by its plural."""
    one = [data[field]] if data.get(field) is not None else []
    many = data.get(f"{field}s") or []
    found = find_all(rows, key, one, field=field)
    return found + [
        row for row in find_all(rows, key, many, field=f"{field}s") if row not in found
    ]


def _only(names: list[str]) -> str | None:
    return names[0] if len(names) == 1 else None
