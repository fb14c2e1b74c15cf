"""REST API: notification rules, which say whom to tell of an incident."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from console.api.notification_rule_serializers import (
    NotificationRuleChangeSerializer,
    NotificationRuleRequestSerializer,
    NotificationRuleSerializer,
    RuleTestSerializer,
)
from console.models import NotificationRule
from console.selectors.notification_rules import get_rule, list_rules
from console.services.notifications.edit import change_rule, create_rule, delete_rule
from console.services.notifications.rule_test import send_rule_test
from iotplatform.common.etags import VersionedView
from iotplatform.common.pagination import OpaqueCursorPagination
from registry.api.base import TenantScopedMixin
from registry.permissions import Right


class RuleBase(TenantScopedMixin, VersionedView):
    """Only people who manage the whole tenant see rules: all incidents pass them."""

    def rule(self, rule_id: str) -> NotificationRule:
        """Return a rule that the caller may see and change."""
        row = get_rule(tenants=self.tenants, public_id=rule_id)
        self.require(Right.MANAGE, row.tenant_id)
        self.require_whole_tenant(row.tenant)
        return row


class RuleListView(RuleBase, GenericAPIView[NotificationRule]):
    """The notification rules of the caller's tenants."""

    serializer_class = NotificationRuleSerializer
    pagination_class = OpaqueCursorPagination
    queryset = NotificationRule.objects.none()  # names the model to the schema

    @extend_schema(responses=NotificationRuleSerializer(many=True))
    def get(self, request: Request) -> Response:
        """List rules, without the addresses of chat rooms."""
        for tenant in self.tenants:
            self.require(Right.MANAGE, tenant.pk)
            self.require_whole_tenant(tenant)
        page = self.paginate_queryset(list_rules(tenants=self.tenants))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(
        request=NotificationRuleRequestSerializer,
        responses={201: NotificationRuleSerializer},
    )
    def post(self, request: Request) -> Response:
        """Make a rule; the address of a chat room is never shown again.

        400 naming each wrong field, such as `targets.0.url` for an address that is
        refused; 409 for a name that is taken.
        """
        body = NotificationRuleRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        tenant = self.resolve_tenant()
        self.require(Right.MANAGE, tenant.pk)
        self.require_whole_tenant(tenant)
        given = {k: v for k, v in body.validated_data.items() if k != "tenant"}
        row = create_rule(tenant=tenant, actor=self.caller, **given)
        return self.versioned(NotificationRuleSerializer(row).data, status=201)


class RuleDetailView(RuleBase):
    """One notification rule."""

    @extend_schema(responses=NotificationRuleSerializer)
    def get(self, request: Request, notification_rule_id: str) -> Response:
        """Return a rule, without the addresses of chat rooms."""
        return self.versioned(
            NotificationRuleSerializer(self.rule(notification_rule_id)).data
        )

    @extend_schema(
        request=NotificationRuleChangeSerializer, responses=NotificationRuleSerializer
    )
    def patch(self, request: Request, notification_rule_id: str) -> Response:
        """Change what is given.

        Targets are given whole; a chat room given by its `id` keeps its address.
        """
        row = self.rule(notification_rule_id)
        body = NotificationRuleChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        with self._as_seen(row):
            row = change_rule(row, **body.validated_data)
        return self.versioned(NotificationRuleSerializer(row).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, notification_rule_id: str) -> Response:
        """Delete a rule with what waits for its targets."""
        row = self.rule(notification_rule_id)
        with self._as_seen(row):
            delete_rule(row)
        return Response(status=204)

    def _as_seen(self, row: NotificationRule) -> AbstractContextManager[None]:
        def shown() -> Mapping[str, Any]:
            current = list_rules(tenants=self.tenants).get(pk=row.pk)
            return NotificationRuleSerializer(current).data

        return self.as_seen(row, shown)


class RuleTestView(RuleBase):
    """A test of a notification rule."""

    @extend_schema(request=None, responses={202: RuleTestSerializer})
    def post(self, request: Request, notification_rule_id: str) -> Response:
        """Send a test to each target of the rule, at once.

        The answer has their rows in `notifications/`, which tell what came of it.
        """
        rows = send_rule_test(self.rule(notification_rule_id))
        shown = RuleTestSerializer({"notifications": rows}).data
        return Response(shown, status=202)
