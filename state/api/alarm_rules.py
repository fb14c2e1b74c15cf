"""REST: alarm rules."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, cast
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from iotplatform.common.etags import VersionedView
from iotplatform.common.flags import FlagField
from iotplatform.common.problems import BadInput, NotFound
from iotplatform.common.serializers import StrictSerializer
from registry.api.base import TenantScopedMixin
from registry.models import Product, Tenant
from registry.permissions import Right
from registry.selectors.products import get_product
from state.choices import MAX_HOLD_SECONDS, Comparison, Severity
from state.models import AlarmRule
from state.selectors.rule_trial import Trial, try_rule
from state.selectors.rules import get_rule, list_rules
from state.services.alarms.rules import (
    change_rule,
    create_rule,
    delete_rule,
)


class FiniteField(serializers.FloatField):
    """A finite number; infinity and NaN cannot be compared with values."""

    def to_internal_value(self, data: Any) -> float:
        value = super().to_internal_value(data)
        if not math.isfinite(value):
            self.fail("invalid")
        return value


class RuleSerializer(StrictSerializer):
    """A threshold on a metric of a product; off until ``enabled`` is true."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    tenant = serializers.CharField(source="tenant.slug", required=False)
    product = serializers.CharField(source="product.slug")
    name = serializers.CharField(max_length=200)
    metric = serializers.CharField(max_length=64)
    comparison = serializers.ChoiceField(choices=Comparison.choices)
    threshold = FiniteField()
    hold_seconds = serializers.IntegerField(
        min_value=0, max_value=MAX_HOLD_SECONDS, required=False
    )
    hysteresis = FiniteField(min_value=0, required=False)
    severity = serializers.ChoiceField(choices=Severity.choices, required=False)
    code = serializers.RegexField(r"\A[A-Za-z0-9._:-]+\Z", max_length=64)
    enabled = FlagField(required=False)


class TrialSerializer(StrictSerializer):
    """The part of a rule that decides when an alarm is raised."""

    tenant = serializers.CharField(required=False)
    product = serializers.CharField()
    metric = serializers.CharField(max_length=64)
    comparison = serializers.ChoiceField(choices=Comparison.choices)
    threshold = FiniteField()
    hold_seconds = serializers.IntegerField(
        min_value=0, max_value=MAX_HOLD_SECONDS, required=False
    )
    hysteresis = FiniteField(min_value=0, required=False)


class TriedDevicesSerializer(serializers.Serializer[Any]):
    """How many devices took part in a trial."""

    of_product = serializers.IntegerField(
        help_text="Devices of the product in service."
    )
    tried = serializers.IntegerField(help_text="A sample, if the fleet is large.")
    measured = serializers.IntegerField(help_text="Devices with values in the week.")
    raising = serializers.IntegerField(help_text="Devices that would raise an alarm.")


class DayOfTrialSerializer(serializers.Serializer[Any]):
    """The alarms of one day (UTC)."""

    day = serializers.DateField()
    raises = serializers.IntegerField()


class WorstOfTrialSerializer(serializers.Serializer[Any]):
    """A device that would have raised most alarms."""

    device = serializers.CharField()
    raises = serializers.IntegerField()
    last_raised_at = serializers.DateTimeField()


class TrialResultSerializer(serializers.Serializer[Any]):
    """The alarms that a rule would have raised in the last week."""

    to = serializers.DateTimeField()
    devices = TriedDevicesSerializer()
    raises = serializers.IntegerField()
    per_day = DayOfTrialSerializer(many=True)
    worst = WorstOfTrialSerializer(many=True)

    def get_fields(self) -> dict[str, Any]:
        # ``from`` is a keyword of Python.
        return {"from": serializers.DateTimeField(), **super().get_fields()}


class RuleListView(TenantScopedMixin, VersionedView, GenericAPIView[AlarmRule]):
    """Alarm rules."""

    serializer_class = RuleSerializer

    def get_queryset(self) -> QuerySet[AlarmRule]:
        return list_rules(tenants=self.tenants)

    @extend_schema(operation_id="alarm_rules_list", responses=RuleSerializer(many=True))
    def get(self, request: Request) -> Response:
        """List alarm rules."""
        page = self.paginate_queryset(self.get_queryset())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(responses={201: RuleSerializer})
    def post(self, request: Request) -> Response:
        """Create an alarm rule."""
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        data = cast("dict[str, Any]", given.validated_data)
        tenant = self.resolve_tenant()
        self.require(Right.MANAGE, tenant.pk)
        self.require_whole_tenant(tenant)
        data.pop("tenant", None)
        product = _product(tenant, data.pop("product")["slug"])
        rule = create_rule(tenant=tenant, product=product, **data)
        return self.versioned(RuleSerializer(rule).data, status=201)


class RuleTrialView(TenantScopedMixin, GenericAPIView[AlarmRule]):
    """The trial of a rule that does not exist yet."""

    serializer_class = TrialSerializer
    queryset = AlarmRule.objects.none()  # names the model to the schema

    @extend_schema(responses=TrialResultSerializer)
    def post(self, request: Request) -> Response:
        """Try a rule against the last week's five-minute rollups; saves nothing."""
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        data = cast("dict[str, Any]", given.validated_data)
        tenant = self.resolve_tenant()
        self.require(Right.MANAGE, tenant.pk)
        self.require_whole_tenant(tenant)
        data.pop("tenant", None)
        product = _product(tenant, data.pop("product"))
        found = try_rule(product, Trial(**data), now=timezone.now())
        return Response(TrialResultSerializer(found).data)


class RuleView(TenantScopedMixin, VersionedView, GenericAPIView[AlarmRule]):
    """One alarm rule."""

    serializer_class = RuleSerializer
    queryset = AlarmRule.objects.none()  # names the model to the schema

    def get(self, request: Request, rule_id: UUID) -> Response:
        """Return an alarm rule."""
        rule = get_rule(tenants=self.tenants, rule_id=rule_id)
        return self.versioned(RuleSerializer(rule).data)

    def patch(self, request: Request, rule_id: UUID) -> Response:
        """Change a rule, or switch it on or off; tenant and product are fixed."""
        rule = get_rule(tenants=self.tenants, rule_id=rule_id)
        self.require(Right.MANAGE, rule.tenant_id)
        self.require_whole_tenant(rule.tenant)
        given = RuleSerializer(data=request.data, partial=True)
        given.is_valid(raise_exception=True)
        fixed = {"tenant", "product"} & given.validated_data.keys()
        if fixed:
            raise BadInput(
                errors=[{"field": name, "message": "Cannot change."} for name in fixed]
            )
        with self._as_seen(rule):
            rule = change_rule(rule, by=self.caller, **given.validated_data)
        return self.versioned(RuleSerializer(rule).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, rule_id: UUID) -> Response:
        """Delete a rule and clear its alarms."""
        rule = get_rule(tenants=self.tenants, rule_id=rule_id)
        self.require(Right.MANAGE, rule.tenant_id)
        self.require_whole_tenant(rule.tenant)
        with self._as_seen(rule):
            delete_rule(rule, by=self.caller)
        return Response(status=204)

    def _as_seen(self, rule: AlarmRule) -> AbstractContextManager[None]:
        def shown() -> Mapping[str, Any]:
            current = get_rule(tenants=self.tenants, rule_id=rule.public_id)
            return RuleSerializer(current).data

        return self.as_seen(rule, shown)


def _product(tenant: Tenant, slug: str) -> Product:
    """Return the tenant's product; raises BadInput if the tenant has none so named."""
    try:
        return get_product(tenants=[tenant], slug=slug)
    except NotFound as error:
        raise BadInput(product=str(error.detail)) from error
