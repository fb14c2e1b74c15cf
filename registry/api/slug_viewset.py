"""The base of the views of objects with a slug."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from django.db.models import QuerySet
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from iotplatform.common.etags import VersionedView, lock_row
from iotplatform.common.problems import BadInput
from registry.api.base import TenantScopedMixin
from registry.api.references import with_objects
from registry.models import Tenant
from registry.permissions import Right


class SluggedViewSet(TenantScopedMixin, VersionedView, GenericViewSet[Any]):
    """List, create, show, change and delete objects of a tenant, by slug."""

    # Objects without a place concern the whole tenant: members who are limited to some
    # of its places read them, and do not change them.
    belongs_to_a_place = False
    lookup_field = "slug"
    lookup_value_regex = "[^/]+"

    def rows(self) -> QuerySet[Any]:
        """Return the objects of the tenants in ``self.tenants``."""
        raise NotImplementedError

    def row(self, slug: str) -> Any:
        """Return one of them, or raise NoSuchObject or AmbiguousSlug."""
        raise NotImplementedError

    def add(self, **fields: Any) -> Any:
        raise NotImplementedError

    def change(self, row: Any, **fields: Any) -> Any:
        raise NotImplementedError

    def remove(self, row: Any) -> None:
        raise NotImplementedError

    def lock(self, row: Any) -> None:
        """Lock one until the transaction ends, in the lock order of its service."""
        lock_row(row)

    def get_queryset(self) -> QuerySet[Any]:
        if getattr(self, "swagger_fake_view", False):
            return self.rows().none()
        return self.rows()

    def list(self, request: Request) -> Response:
        """List the {many} of the caller's tenants."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    def create(self, request: Request) -> Response:
        """Create {one}; needs the right to manage in its tenant."""
        given = self._validated(request)
        given.pop("tenant", None)
        tenant = self.resolve_tenant()
        self._require_management(tenant)
        row = self.add(tenant=tenant, **with_objects(given, tenant=tenant))
        return self.versioned(self.get_serializer(row).data, status=201)

    def retrieve(self, request: Request, slug: str) -> Response:
        """Show {one}."""
        return self.versioned(self.get_serializer(self.row(slug)).data)

    def partial_update(self, request: Request, slug: str) -> Response:
        """Change {one}; its tenant stays."""
        row = self.row(slug)
        self._require_management(row.tenant)
        given = self._validated(request, partial=True)
        if given.pop("tenant", row.tenant.slug) != row.tenant.slug:
            raise BadInput(tenant="The tenant cannot be changed.")
        changes = with_objects(given, tenant=row.tenant)
        with self._as_seen(row):
            row = self.change(row, **changes)
        return self.versioned(self.get_serializer(row).data)

    def destroy(self, request: Request, slug: str) -> Response:
        """Delete {one}; 409 while something refers to it."""
        row = self.row(slug)
        self._require_management(row.tenant)
        with self._as_seen(row):
            self.remove(row)
        return Response(status=204)

    def _as_seen(self, row: Any) -> AbstractContextManager[None]:
        def shown() -> dict[str, Any]:
            # By its key: its slug may have changed by now.
            return dict(self.get_serializer(self.rows().get(pk=row.pk)).data)

        return self.as_seen(row, shown, lock=lambda: self.lock(row))

    def _require_management(self, tenant: Tenant) -> None:
        self.require(Right.MANAGE, tenant.pk)
        if not self.belongs_to_a_place:
            self.require_whole_tenant(tenant)

    def _validated(self, request: Request, *, partial: bool = False) -> dict[str, Any]:
        serializer = self.get_serializer(data=request.data, partial=partial)
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)
