"""REST API: standing policies, and how many devices have what they want."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from commands.api.serializers.commands import ObjectField
from fleet.api.edits import LeftOutSerializer
from fleet.models import StandingPolicy
from fleet.policy_templates import VARIABLES
from fleet.selectors.policies import (
    compliance_of,
    get_policy,
    list_compliance,
    list_policies,
    report_of,
)
from fleet.services.policies import change_policy, create_policy, delete_policy
from iotplatform.common.etags import VersionedView
from iotplatform.common.flags import FlagField
from iotplatform.common.pagination import OpaqueCursorPagination
from iotplatform.common.serializers import StrictSerializer
from registry.api.base import TenantScopedMixin
from registry.models import Tenant
from registry.permissions import Right

Plain = serializers.Serializer[Any]


class PolicyFieldsSerializer(StrictSerializer):
    """What may be given of a policy."""

    name = serializers.CharField(max_length=200, required=False)
    cohort = serializers.CharField(required=False, help_text="The cohort's id.")
    desired = ObjectField(
        required=False,
        allow_null=True,
        help_text="Keys of the configuration. In texts, these are filled in: "
        + ", ".join(f"{{{{ {name} }}}}" for name in VARIABLES)
        + ".",
    )
    release = serializers.CharField(
        required=False,
        allow_null=True,
        help_text="Instead of `desired`: a firmware release, by its id or version.",
    )
    priority = serializers.IntegerField(
        min_value=-1_000,
        max_value=1_000,
        required=False,
        help_text="Of two policies that want a key of a device, the higher decides.",
    )
    rate_per_minute = serializers.IntegerField(
        min_value=1,
        max_value=60_000,
        required=False,
        help_text="Devices that get it in a minute, at most; 600 by default.",
    )
    enabled = FlagField(required=False, source="is_enabled")


class PolicyRequestSerializer(PolicyFieldsSerializer):
    """A new policy."""

    tenant = serializers.CharField(required=False)
    name = serializers.CharField(max_length=200)
    cohort = serializers.CharField(help_text="The cohort's id.")


class ComplianceSerializer(Plain):
    """How many devices of a policy have what it wants."""

    total = serializers.IntegerField(help_text="Of those that take commands.")
    compliant = serializers.IntegerField()
    overruled = serializers.IntegerField(
        help_text="Another policy, or a later change, decides a key of these."
    )


class CompliancePointSerializer(ComplianceSerializer):
    """The compliance at one time."""

    at = serializers.DateTimeField()


class OverruledSerializer(Plain):
    """A key that somebody else decides, on how many devices."""

    key = serializers.CharField()
    by = serializers.CharField()
    count = serializers.IntegerField()


class PolicySerializer(Plain):
    """A standing policy."""

    id = serializers.UUIDField(source="public_id")
    tenant = serializers.CharField(source="tenant.slug")
    name = serializers.CharField()
    cohort = serializers.UUIDField(source="cohort.public_id")
    desired = ObjectField(allow_null=True)
    release = serializers.SerializerMethodField()
    version = serializers.SerializerMethodField()
    priority = serializers.IntegerField()
    rate_per_minute = serializers.IntegerField()
    enabled = serializers.BooleanField(source="is_enabled")
    compliance = ComplianceSerializer(
        allow_null=True, help_text="Null for members of a part of the tenant."
    )
    created_by = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    def get_release(self, policy: StandingPolicy) -> str | None:
        """Return the id of the release; null if it was deleted."""
        return str(policy.release.public_id) if policy.release else None

    def get_version(self, policy: StandingPolicy) -> str | None:
        """Return the firmware that it wants."""
        return policy.firmware_version or None

    def get_created_by(self, policy: StandingPolicy) -> str | None:
        """Return the user name of the person who made it."""
        return policy.created_by.get_username() if policy.created_by else None


class PolicyDetailSerializer(PolicySerializer):
    """A policy with its compliance over time, and what stands against it."""

    history = CompliancePointSerializer(
        many=True, help_text="Of the last week: one for each change."
    )
    overruled_by = OverruledSerializer(many=True)
    not_sent = LeftOutSerializer(many=True)
    failing = LeftOutSerializer(
        many=True, help_text="Sent without success: how it failed, and what follows."
    )


class PolicyBase(TenantScopedMixin, VersionedView):
    """Shows policies with their compliance, which changes by itself."""

    moving_fields = frozenset(
        {"compliance", "history", "overruled_by", "not_sent", "failing"}
    )

    def with_compliance(self, policies: Sequence[StandingPolicy]) -> None:
        """Set ``compliance`` on each: of the whole tenant, so not for a part of it."""
        whole = {tenant.pk for tenant in self.all_tenants if tenant.limit is None}
        found = compliance_of([row for row in policies if row.tenant_id in whole])
        for row in policies:
            row.compliance = found.get(row.pk)  # type: ignore[attr-defined]

    def shown(self, policy: StandingPolicy) -> Mapping[str, Any]:
        self.with_compliance([policy])
        is_whole = policy.compliance is not None  # type: ignore[attr-defined]
        policy.history = list_compliance(policy) if is_whole else []  # type: ignore[attr-defined]
        report = report_of(policy) if is_whole else None
        policy.overruled_by = report.overruled_by if report else []  # type: ignore[attr-defined]
        policy.not_sent = report.not_sent if report else []  # type: ignore[attr-defined]
        policy.failing = report.failing if report else []  # type: ignore[attr-defined]
        return PolicyDetailSerializer(policy).data

    def require_write(self, tenant: Tenant) -> None:
        """A policy sends commands to devices of the whole tenant."""
        self.require(Right.OPERATE, tenant.pk)
        self.require_whole_tenant(tenant)


class PolicyListView(PolicyBase, ListAPIView[StandingPolicy]):
    """The standing policies of the caller's tenants."""

    serializer_class = PolicySerializer
    pagination_class = OpaqueCursorPagination
    queryset = StandingPolicy.objects.none()  # names the model to the schema

    def get_queryset(self) -> Any:
        return list_policies(tenants=self.tenants)

    def paginate_queryset(self, queryset: Any) -> Any:
        """Add the compliance of one page."""
        page = super().paginate_queryset(queryset)
        self.with_compliance(page or [])
        return page

    @extend_schema(
        request=PolicyRequestSerializer, responses={201: PolicyDetailSerializer}
    )
    def post(self, request: Request) -> Response:
        """Make a policy: every device that joins the cohort gets what it wants."""
        body = PolicyRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        tenant = self.resolve_tenant()
        self.require_write(tenant)
        given = {k: v for k, v in body.validated_data.items() if k != "tenant"}
        made = create_policy(tenant=tenant, actor=self.caller, changes=given)  # type: ignore[arg-type]
        policy = get_policy(tenants=self.tenants, public_id=made.public_id)
        return self.versioned(self.shown(policy), status=201)


class PolicyDetailView(PolicyBase):
    """One standing policy."""

    @extend_schema(responses=PolicyDetailSerializer)
    def get(self, request: Request, policy_id: str) -> Response:
        """Return the policy, its compliance, and what stands against it."""
        return self.versioned(self.shown(self._policy(policy_id)))

    @extend_schema(request=PolicyFieldsSerializer, responses=PolicyDetailSerializer)
    def patch(self, request: Request, policy_id: str) -> Response:
        """Change what is given; `"enabled": false` switches it off."""
        policy = self._policy(policy_id)
        self.require_write(policy.tenant)
        body = PolicyFieldsSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        with self._as_seen(policy):
            change_policy(policy=policy, changes=body.validated_data)
        return self.versioned(self.shown(self._policy(policy_id)))

    @extend_schema(responses={204: None})
    def delete(self, request: Request, policy_id: str) -> Response:
        """Delete the policy; devices keep the configuration that they have."""
        policy = self._policy(policy_id)
        self.require_write(policy.tenant)
        with self._as_seen(policy):
            delete_policy(policy=policy)
        return Response(status=204)

    def _as_seen(self, policy: StandingPolicy) -> AbstractContextManager[None]:
        def shown() -> Mapping[str, Any]:
            return self.shown(self._policy(str(policy.public_id)))

        return self.as_seen(policy, shown)

    def _policy(self, policy_id: str) -> StandingPolicy:
        policy = get_policy(tenants=self.tenants, public_id=policy_id)
        self.require(Right.VIEW, policy.tenant_id)
        return policy
