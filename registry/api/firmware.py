"""REST: firmware releases, and the upload of their files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from iotplatform.common.etags import VersionedView
from iotplatform.common.problems import BadInput
from registry.api.base import TenantScopedMixin
from registry.api.negotiation import FileNegotiation
from registry.api.serializers.firmware import (
    FirmwareReleaseSerializer,
    NewFirmwareReleaseSerializer,
)
from registry.file_responses import file_response
from registry.models import FirmwareRelease, Tenant
from registry.permissions import Right
from registry.selectors.firmware import get_release, list_releases
from registry.selectors.products import list_products, list_revisions
from registry.services.firmware import (
    create_release,
    delete_release,
    update_release,
)

LISTS: dict[str, Callable[..., QuerySet[Any]]] = {
    "products": list_products,
    "hardware_revisions": list_revisions,
}
FILE_HEADERS = {
    "Range": "One part of the file, as in `bytes=1000-`: 206.",
    "If-Range": "The ETag of the parts that the caller has; else the whole file comes.",
    "If-None-Match": "The ETag that the caller has: 304 while it is current.",
}


class FirmwareReleaseFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Filters of the list of firmware releases."""

    version = django_filters.CharFilter()
    product = django_filters.CharFilter(field_name="products__slug", distinct=True)


class ReleaseView(TenantScopedMixin, VersionedView, GenericAPIView[FirmwareRelease]):
    serializer_class = FirmwareReleaseSerializer
    filterset_class = FirmwareReleaseFilter

    def get_queryset(self) -> QuerySet[FirmwareRelease]:
        if getattr(self, "swagger_fake_view", False):
            return FirmwareRelease.objects.none()
        return list_releases(tenants=self.tenants)

    def release(self, release_id: UUID) -> FirmwareRelease:
        return get_release(tenants=self.tenants, public_id=release_id)

    def managed(self, release_id: UUID) -> FirmwareRelease:
        """Return the release; refuse a caller who may not change it."""
        row = self.release(release_id)
        self.require_management(row.tenant)
        return row

    def require_management(self, tenant: Tenant) -> None:
        """Refuse callers who do not manage the whole tenant, which a release is for."""
        self.require(Right.MANAGE, tenant.pk)
        self.require_whole_tenant(tenant)

    def shown(self, release_id: UUID, status: int = 200) -> Response:
        shown = FirmwareReleaseSerializer(self.release(release_id))
        return self.versioned(shown.data, status=status)


class ReleaseListView(ReleaseView):
    """The firmware releases of the caller's tenants."""

    parser_classes = [MultiPartParser]

    @extend_schema(responses=FirmwareReleaseSerializer(many=True))
    def get(self, request: Request) -> Response:
        """List firmware releases, newest first."""
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset()))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(
        request={"multipart/form-data": NewFirmwareReleaseSerializer},
        responses={201: FirmwareReleaseSerializer},
    )
    def post(self, request: Request) -> Response:
        """Upload a firmware release; `products` may be given several times.

        The server computes size and SHA-256. 409: one of the products already has a
        release of this version.
        """
        given = NewFirmwareReleaseSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        wanted = dict(given.validated_data)
        wanted.pop("tenant", None)
        tenant = self.resolve_tenant()
        self.require_management(tenant)
        named = with_lists(wanted, tenant=tenant)
        row = create_release(tenant=tenant, actor=self.caller, **named)
        return self.shown(row.public_id, status=201)


class ReleaseDetailView(ReleaseView):
    """One firmware release."""

    def get(self, request: Request, release_id: UUID) -> Response:
        """Show a firmware release."""
        return self.shown(release_id)

    def patch(self, request: Request, release_id: UUID) -> Response:
        """Change the products, revisions, signature or notes; the file stays."""
        row = self.managed(release_id)
        given = self.get_serializer(data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        changes = dict(given.validated_data)
        for fixed, now in (("version", row.version), ("tenant", row.tenant.slug)):
            if changes.pop(fixed, now) != now:
                raise BadInput(
                    errors=[{"field": fixed, "message": "This cannot be changed."}]
                )
        named = with_lists(changes, tenant=row.tenant)
        with self._as_seen(row):
            update_release(row, changes=named)
        return self.shown(release_id)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, release_id: UUID) -> Response:
        """Delete a release and its file."""
        row = self.managed(release_id)
        with self._as_seen(row):
            delete_release(row)
        return Response(status=204)

    def _as_seen(self, row: FirmwareRelease) -> AbstractContextManager[None]:
        def shown() -> Mapping[str, Any]:
            return dict(FirmwareReleaseSerializer(self.release(row.public_id)).data)

        return self.as_seen(row, shown)


class ReleaseFileView(ReleaseView):
    """The file of a firmware release."""

    content_negotiation_class = FileNegotiation

    @extend_schema(
        parameters=[
            OpenApiParameter(name, str, OpenApiParameter.HEADER, description=text)
            for name, text in FILE_HEADERS.items()
        ],
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (206, "application/octet-stream"): OpenApiTypes.BINARY,
            304: None,
        },
    )
    def get(self, request: Request, release_id: UUID) -> HttpResponseBase:
        """Download the file of a release; needs the right to manage in its tenant.

        The ETag is the file's SHA-256. 416: the range begins after the file's end.
        """
        row = self.release(release_id)
        self.require(Right.MANAGE, row.tenant_id)
        return file_response(request._request, row)


def with_lists(data: Mapping[str, Any], *, tenant: Tenant) -> dict[str, Any]:
    """Return the data with objects instead of lists of slugs.

    Raises BadInput naming each list with an object that the tenant does not have.
    """
    found, errors = dict(data), []
    for field, rows_of in LISTS.items():
        if field not in found:
            continue
        slugs: Sequence[str] = found[field]
        rows = list(rows_of(tenants=[tenant]).filter(slug__in=slugs))
        missing = sorted(set(slugs) - {row.slug for row in rows})
        if missing:
            message = f"Not found: {', '.join(missing)}."
            errors.append({"field": field, "message": message})
        found[field] = rows
    if errors:
        raise BadInput(errors=errors)
    return found
