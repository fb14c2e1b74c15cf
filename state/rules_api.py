"""REST: alarm rules."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from iotplatform.common.problems import BadInput, Forbidden, NotFound
from iotplatform.common.serializers import StrictSerializer
from registry.api_base import TenantScopedMixin
from registry.models import Tenant
from registry.permissions import Right
from registry.selectors.products import get_product
from state.lifecycle import Comparison, Severity
from state.models import AlarmRule
from state.selectors.rules import get_rule, list_rules
from state.services.rules import change_rule, create_rule, delete_rule

MOST_HOLD = 7 * 24 * 3_600


class RuleSerializer(StrictSerializer):
    """A threshold on a metric of a product; it is off until ``enabled`` is set."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    tenant = serializers.CharField(source="tenant.slug", required=False)
    product = serializers.CharField(source="product.slug")
    name = serializers.CharField(max_length=200)
    metric = serializers.CharField(max_length=64)
    comparison = serializers.ChoiceField(choices=Comparison.choices)
    threshold = serializers.FloatField()
    hold_seconds = serializers.IntegerField(
        min_value=0, max_value=MOST_HOLD, required=False
    )
    hysteresis = serializers.FloatField(min_value=0, required=False)
    severity = serializers.ChoiceField(choices=Severity.choices, required=False)
    code = serializers.RegexField(r"\A[A-Za-z0-9._:-]+\Z", max_length=64)
    enabled = serializers.BooleanField(required=False)


class RuleListView(TenantScopedMixin, GenericAPIView[AlarmRule]):
    """Alarm rules."""

    serializer_class = RuleSerializer

    def get_queryset(self) -> QuerySet[AlarmRule]:
        """Return the rules that the caller may see."""
        return list_rules(tenants=self.tenants)

    @extend_schema(operation_id="alarm_rules_list", responses=RuleSerializer(many=True))
    def get(self, request: Request) -> Response:
        """List alarm rules."""
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(responses={201: RuleSerializer})
    def post(self, request: Request) -> Response:
        """Write a rule."""
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        data = cast("dict[str, Any]", given.validated_data)
        tenant = self.resolve_tenant()
        self.require(Right.MANAGE, tenant.pk)
        _require_whole(tenant)
        data.pop("tenant", None)
        try:
            product = get_product(tenants=[tenant], slug=data.pop("product")["slug"])
        except NotFound as error:
            raise BadInput(product=str(error.detail)) from error
        rule = create_rule(tenant=tenant, product=product, **data)
        return Response(RuleSerializer(rule).data, status=201)


class RuleView(TenantScopedMixin, GenericAPIView[AlarmRule]):
    """One alarm rule."""

    serializer_class = RuleSerializer
    queryset = AlarmRule.objects.none()  # names the model to the schema

    def get(self, request: Request, rule_id: UUID) -> Response:
        """Return one."""
        rule = get_rule(tenants=self.tenants, rule_id=rule_id)
        return Response(RuleSerializer(rule).data)

    def patch(self, request: Request, rule_id: UUID) -> Response:
        """Change a rule, or switch it on and off; its product stays."""
        rule = get_rule(tenants=self.tenants, rule_id=rule_id)
        self.require(Right.MANAGE, rule.tenant_id)
        _require_whole(rule.tenant)
        given = RuleSerializer(data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        fixed = {"tenant", "product"} & given.validated_data.keys()
        if fixed:
            raise BadInput(
                errors=[{"field": name, "message": "It stays."} for name in fixed]
            )
        rule = change_rule(rule, **given.validated_data)
        return Response(RuleSerializer(rule).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, rule_id: UUID) -> Response:
        """Remove it; alarms that it made stay."""
        rule = get_rule(tenants=self.tenants, rule_id=rule_id)
        self.require(Right.MANAGE, rule.tenant_id)
        _require_whole(rule.tenant)
        delete_rule(rule)
        return Response(status=204)


def _require_whole(tenant: Tenant) -> None:
    """Refuse a member with a limit: a rule is of all devices of its product."""
    if tenant.limit is not None:
        raise Forbidden("This concerns the whole tenant: your limit ends before.")
