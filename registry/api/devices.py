"""REST: devices and their lifecycle."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from iotplatform.common.etags import VersionedView
from iotplatform.common.problems import BadInput
from registry.api.base import TenantScopedMixin
from registry.api.references import with_objects
from registry.api.serializers.devices import DeviceSerializer
from registry.choices import Adapter, DeviceKind, Lifecycle
from registry.models import Device
from registry.permissions import Right
from registry.selectors.devices import NAMES, get_device, list_devices
from registry.selectors.places import find_spaces
from registry.services.devices import (
    DeviceDraft,
    lock_device,
    register_device,
    update_device,
)


class DeviceFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Filters of the list of devices."""

    site = django_filters.CharFilter(field_name="site__slug")
    project = django_filters.CharFilter(field_name="project__slug")
    product = django_filters.CharFilter(field_name="product__slug")
    hardware_revision = django_filters.CharFilter(field_name="hardware_revision__slug")
    batch = django_filters.CharFilter(field_name="batch__slug")
    space = django_filters.CharFilter(
        method="filter_space",
        label="space",
        help_text="In this space or a space below it.",
    )
    gateway = django_filters.CharFilter(field_name="gateway__uid")
    lifecycle = django_filters.MultipleChoiceFilter(choices=Lifecycle.choices)
    kind = django_filters.ChoiceFilter(choices=DeviceKind.choices)
    adapter = django_filters.ChoiceFilter(choices=Adapter.choices)
    serial = django_filters.CharFilter()
    tag = django_filters.CharFilter(method="filter_tag", label="tag")

    def filter_space(
        self, rows: QuerySet[Device], name: str, value: str
    ) -> QuerySet[Device]:
        return rows.filter(space__in=find_spaces(value))

    def filter_tag(
        self, rows: QuerySet[Device], name: str, value: str
    ) -> QuerySet[Device]:
        return rows.filter(tags__contains=[value])


class DeviceView(TenantScopedMixin, VersionedView, GenericAPIView[Any]):
    def device(self, uid: str) -> Device:
        return get_device(tenants=self.tenants, uid=uid)

    def shown(self, device: Device, status: int = 200) -> Response:
        """Answer with the device as it is now, and its version."""
        fresh = get_device(tenants=[device.tenant], uid=device.uid)
        return self.versioned(DeviceSerializer(fresh).data, status=status)


class DeviceListView(DeviceView):
    """The devices of the caller's tenants."""

    serializer_class = DeviceSerializer
    filterset_class = DeviceFilter

    def get_queryset(self) -> QuerySet[Device]:
        if getattr(self, "swagger_fake_view", False):
            return list_devices(tenants=[])
        return list_devices(tenants=self.tenants)

    @extend_schema(operation_id="devices_list", responses=DeviceSerializer(many=True))
    def get(self, request: Request) -> Response:
        """List devices."""
        rows = self.filter_queryset(self.get_queryset())
        # A page's devices share few tenants, sites and products: one object of each.
        rows = rows.select_related(None).prefetch_related(*NAMES)
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(responses={201: DeviceSerializer})
    def post(self, request: Request) -> Response:
        """Register a device; it starts as provisioned."""
        given = validated(DeviceSerializer(data=request.data))
        given.pop("tenant", None)
        tenant = self.resolve_tenant()
        self.require(Right.MANAGE, tenant.pk)
        gateway = given.pop("gateway", None)
        draft = DeviceDraft(gateway=gateway, **with_objects(given, tenant=tenant))
        device = register_device(tenant=tenant, draft=draft, actor=self.caller)
        return self.shown(device, status=201)


class DeviceDetailView(DeviceView):
    """One device."""

    serializer_class = DeviceSerializer

    def get(self, request: Request, uid: str) -> Response:
        """Show a device."""
        return self.shown(self.device(uid))

    def patch(self, request: Request, uid: str) -> Response:
        """Change a device, but not its uid, tenant or lifecycle."""
        device = self.device(uid)
        self.require(Right.MANAGE, device.tenant_id)
        given = validated(DeviceSerializer(data=request.data, partial=True))
        for fixed, now in (("uid", device.uid), ("tenant", device.tenant.slug)):
            if given.pop(fixed, now) != now:
                raise BadInput(
                    errors=[{"field": fixed, "message": "This cannot be changed."}]
                )
        changes = with_objects(given, tenant=device.tenant)
        with self.as_seen(
            device,
            lambda: DeviceSerializer(self.device(uid)).data,
            lock=lambda: lock_device(device, gateway=changes.get("gateway")),
        ):
            changed = update_device(device, changes=changes)
        return self.shown(changed)


def validated(serializer: Any) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)
