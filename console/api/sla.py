"""REST API: SLA policies."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from console.models import SlaPolicy
from console.selectors.sla import get_policy, list_policies
from console.services.sla import change_policy, create_policy, delete_policy
from iotplatform.common.etags import VersionedView
from iotplatform.common.pagination import OpaqueCursorPagination
from iotplatform.common.serializers import StrictSerializer
from registry.api.base import TenantScopedMixin
from registry.permissions import Right
from state.choices import Severity

MOST_MINUTES = 525_600  # a year


class SlaPolicySerializer(StrictSerializer):
    """How soon incidents of a severity are to be acknowledged and resolved."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    tenant = serializers.CharField(source="tenant.slug", required=False)
    severity = serializers.ChoiceField(choices=Severity.choices)
    acknowledge_minutes = serializers.IntegerField(min_value=1, max_value=MOST_MINUTES)
    resolve_minutes = serializers.IntegerField(min_value=1, max_value=MOST_MINUTES)


class PolicyBase(TenantScopedMixin, VersionedView):
    """Show and find policies."""

    def shown(self, policy: SlaPolicy) -> Mapping[str, Any]:
        return SlaPolicySerializer(policy).data

    def body(self, **given: Any) -> dict[str, Any]:
        body = SlaPolicySerializer(data=self.request.data, **given)
        body.is_valid(raise_exception=True)
        return {k: v for k, v in body.validated_data.items() if k != "tenant"}


class PolicyListView(PolicyBase, ListAPIView[SlaPolicy]):
    """The SLA policies of the caller's tenants."""

    serializer_class = SlaPolicySerializer
    pagination_class = OpaqueCursorPagination
    queryset = SlaPolicy.objects.none()  # names the model to the schema

    def get_queryset(self) -> QuerySet[SlaPolicy]:
        return list_policies(tenants=self.tenants)

    @extend_schema(request=SlaPolicySerializer, responses={201: SlaPolicySerializer})
    def post(self, request: Request) -> Response:
        """Create a policy; 409 if the severity has one."""
        given = self.body()
        tenant = self.resolve_tenant()
        self.require(Right.MANAGE, tenant.pk)
        self.require_whole_tenant(tenant)
        policy = create_policy(tenant=tenant, **given)
        return self.versioned(self.shown(policy), status=201)


class PolicyView(PolicyBase):
    """One SLA policy."""

    @extend_schema(responses=SlaPolicySerializer)
    def get(self, request: Request, sla_policy_id: str) -> Response:
        """Return a policy."""
        return self.versioned(self.shown(self._policy(sla_policy_id)))

    @extend_schema(
        request=SlaPolicySerializer(partial=True), responses=SlaPolicySerializer
    )
    def patch(self, request: Request, sla_policy_id: str) -> Response:
        """Change what is given; 409 if the new severity has a policy."""
        policy = self._managed(sla_policy_id)
        given = self.body(partial=True)
        with self._as_seen(policy):
            changed = change_policy(policy, **given)
        return self.versioned(self.shown(changed))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, sla_policy_id: str) -> Response:
        """Delete a policy: nothing is due any more for its severity."""
        policy = self._managed(sla_policy_id)
        with self._as_seen(policy):
            delete_policy(policy)
        return Response(status=204)

    def _policy(self, sla_policy_id: str) -> SlaPolicy:
        return get_policy(tenants=self.tenants, public_id=sla_policy_id)

    def _managed(self, sla_policy_id: str) -> SlaPolicy:
        policy = self._policy(sla_policy_id)
        self.require(Right.MANAGE, policy.tenant_id)
        self.require_whole_tenant(policy.tenant)
        return policy

    def _as_seen(self, policy: SlaPolicy) -> AbstractContextManager[None]:
        def shown() -> Mapping[str, Any]:
            return self.shown(self._policy(str(policy.public_id)))

        return self.as_seen(policy, shown)
