"""REST: tenants; made and changed by platform superusers only."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from iotplatform.common.etags import VersionedView
from registry.api.base import TenantScopedMixin
from registry.api.serializers.devices import TenantSerializer
from registry.exceptions import NoSuchObject
from registry.models import Tenant
from registry.selectors.tenants import list_tenants_across_tenants
from registry.services.tenants import create_tenant, delete_tenant, update_tenant


class TenantViewSet(TenantScopedMixin, VersionedView, GenericViewSet[Tenant]):
    """The tenants that the caller belongs to."""

    lookup_field = "slug"
    lookup_value_regex = "[^/]+"
    serializer_class = TenantSerializer

    def get_queryset(self) -> QuerySet[Tenant]:
        rows = list_tenants_across_tenants()
        if getattr(self, "swagger_fake_view", False):
            return rows.none()
        return rows.filter(pk__in=[tenant.pk for tenant in self.tenants])

    def list(self, request: Request) -> Response:
        """List the caller's tenants."""
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def create(self, request: Request) -> Response:
        """Create a tenant; platform superusers only."""
        self.require_platform_admin()
        tenant = create_tenant(**self._validated(request))
        return self.versioned(self.get_serializer(tenant).data, status=201)

    def retrieve(self, request: Request, slug: str) -> Response:
        """Show a tenant."""
        return self.versioned(self.get_serializer(self._tenant(slug)).data)

    def partial_update(self, request: Request, slug: str) -> Response:
        """Change a tenant; platform superusers only."""
        tenant = self._tenant(slug)
        self.require_platform_admin()
        changes = self._validated(request, partial=True)
        with self._as_seen(tenant):
            changed = update_tenant(tenant, **changes)
        return self.versioned(self.get_serializer(changed).data)

    def destroy(self, request: Request, slug: str) -> Response:
        """Delete a tenant that owns nothing; platform superusers only."""
        tenant = self._tenant(slug)
        self.require_platform_admin()
        with self._as_seen(tenant):
            delete_tenant(tenant)
        return Response(status=204)

    def _as_seen(self, tenant: Tenant) -> AbstractContextManager[None]:
        rows = list_tenants_across_tenants()
        return self.as_seen(
            tenant, lambda: self.get_serializer(rows.get(pk=tenant.pk)).data
        )

    def _tenant(self, slug: str) -> Tenant:
        for tenant in self.tenants:
            if tenant.slug == slug:
                return tenant
        raise NoSuchObject("tenant")

    def _validated(self, request: Request, *, partial: bool = False) -> dict[str, Any]:
        serializer = self.get_serializer(data=request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)
