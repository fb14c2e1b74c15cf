"""REST: enrolment keys, and the path where a device registers itself."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from iotplatform.common import tenant_scope
from iotplatform.common.etags import VersionedView
from iotplatform.common.problems import BadInput
from iotplatform.common.query_parameters import KnownParametersView
from iotplatform.common.throttling import PerKeyThrottle
from registry.api.base import TenantScopedMixin
from registry.api.references import with_objects
from registry.api.serializers.enrolment import (
    EnrolledSerializer,
    EnrolmentKeySerializer,
    EnrolSerializer,
    NewEnrolmentKeySerializer,
)
from registry.models import EnrolmentKey
from registry.permissions import Right
from registry.selectors.enrolment import (
    get_enrolment_key,
    list_enrolment_keys,
    list_tenant_ids_of_key_across_tenants,
)
from registry.services.enrolment import (
    EnrolRequest,
    create_enrolment_key,
    enrol_across_tenants,
    revoke_enrolment_key,
    update_enrolment_key,
)


class KeyView(TenantScopedMixin, VersionedView, GenericAPIView[Any]):
    """The base of the views of keys; only people who manage the tenant see keys."""

    serializer_class = EnrolmentKeySerializer
    # Enrolling devices change the count; the key itself is shown only when it is made.
    moving_fields = frozenset({"used_count", "key"})
    queryset = EnrolmentKey.objects.none()  # names the model to the schema

    def get_queryset(self) -> QuerySet[EnrolmentKey]:
        if getattr(self, "swagger_fake_view", False):
            return EnrolmentKey.objects.none()
        return list_enrolment_keys(tenants=self.tenants)

    def key(self, key_id: UUID) -> EnrolmentKey:
        key = get_enrolment_key(tenants=self.tenants, public_id=key_id)
        self.require(Right.MANAGE, key.tenant_id)
        return key


class EnrolmentKeyListView(KeyView):
    """The enrolment keys of the caller's tenants."""

    @extend_schema(responses=EnrolmentKeySerializer(many=True))
    def get(self, request: Request) -> Response:
        """List keys, newest first, without their secrets."""
        for tenant in self.tenants:
            self.require(Right.MANAGE, tenant.pk)
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(responses={201: NewEnrolmentKeySerializer})
    def post(self, request: Request) -> Response:
        """Make an enrolment key, shown only now."""
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        wanted = dict(given.validated_data)
        wanted.pop("tenant", None)
        tenant = self.resolve_tenant()
        self.require(Right.MANAGE, tenant.pk)
        named = with_objects(wanted, tenant=tenant)
        row, key = create_enrolment_key(tenant=tenant, actor=self.caller, **named)
        shown = NewEnrolmentKeySerializer(row, context={"key": key})
        return self.versioned(shown.data, status=201)


class EnrolmentKeyView(KeyView):
    """One enrolment key."""

    def get(self, request: Request, key_id: UUID) -> Response:
        """Show a key and how often it was used, without its secret."""
        return self.versioned(self.get_serializer(self.key(key_id)).data)

    def patch(self, request: Request, key_id: UUID) -> Response:
        """Change its name, site, number of devices or expiry date."""
        row = self.key(key_id)
        given = self.get_serializer(data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        changes = dict(given.validated_data)
        for fixed in ("tenant", "product", "batch"):
            now = getattr(getattr(row, fixed), "slug", None)
            if changes.pop(fixed, now) != now:
                raise BadInput(
                    errors=[{"field": fixed, "message": "This cannot be changed."}]
                )
        named = with_objects(changes, tenant=row.tenant)
        with self._as_seen(row):
            update_enrolment_key(row, changes=named)
        return self.versioned(self.get_serializer(self.key(key_id)).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, key_id: UUID) -> Response:
        """Revoke a key; devices that it enrolled stay."""
        row = self.key(key_id)
        with self._as_seen(row):
            revoke_enrolment_key(row)
        return Response(status=204)

    def _as_seen(self, row: EnrolmentKey) -> AbstractContextManager[None]:
        return self.as_seen(
            row, lambda: self.get_serializer(self.key(row.public_id)).data
        )


class EnrolThrottle(PerKeyThrottle):
    """Limits enrolments per minute from one address, against guessing and floods."""

    rate_name = "enrol"


class EnrolView(KnownParametersView, GenericAPIView[Any]):
    """A device that registers itself."""

    authentication_classes = []
    permission_classes = [AllowAny]
    throttle_classes = [EnrolThrottle]
    serializer_class = EnrolSerializer

    @extend_schema(responses={201: EnrolledSerializer}, auth=[])
    def post(self, request: Request) -> Response:
        """Register a device with a key, or claim an imported one; needs no sign-in.

        403: the key is unknown, revoked or expired. 409: the key is used up, or may
        not enrol this device.
        """
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        fields = dict(given.validated_data)
        key = fields.pop("key")
        with tenant_scope.as_role(tenant_scope.BRIDGE):
            tenant_ids = list_tenant_ids_of_key_across_tenants(key)
        # The caller is a key and no person: it may access its own tenant only.
        with tenant_scope.as_tenants(tenant_ids):
            enrolled = enrol_across_tenants(key, EnrolRequest(**fields))
        context = self.get_serializer_context()
        return Response(EnrolledSerializer(enrolled, context=context).data, status=201)
