"""REST API: webhooks, and the hosts that may be private."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from console.api.notification_serializers import (
    NewWebhookSerializer,
    NotificationSerializer,
    WebhookChangeSerializer,
    WebhookHostRequestSerializer,
    WebhookHostSerializer,
    WebhookRequestSerializer,
    WebhookSerializer,
)
from console.models import Webhook, WebhookHost
from console.selectors.webhooks import (
    get_host_across_tenants,
    get_webhook,
    list_hosts_across_tenants,
    list_webhooks,
)
from console.services.webhooks.edit import (
    allow_host,
    change_webhook,
    create_webhook,
    delete_webhook,
    disallow_host,
    send_test,
)
from iotplatform.common.etags import VersionedView
from iotplatform.common.pagination import OpaqueCursorPagination
from registry.api.base import TenantScopedMixin
from registry.permissions import Right


class WebhookBase(TenantScopedMixin, VersionedView):
    """Only people who manage the whole tenant see webhooks: all events go there."""

    def webhook(self, webhook_id: str) -> Webhook:
        """Return a webhook that the caller may see and change."""
        row = get_webhook(tenants=self.tenants, public_id=webhook_id)
        self.require(Right.MANAGE, row.tenant_id)
        self.require_whole_tenant(row.tenant)
        return row


class WebhookListView(WebhookBase, GenericAPIView[Webhook]):
    """The webhooks of the caller's tenants."""

    serializer_class = WebhookSerializer
    pagination_class = OpaqueCursorPagination
    queryset = Webhook.objects.none()  # names the model to the schema

    @extend_schema(responses=WebhookSerializer(many=True))
    def get(self, request: Request) -> Response:
        """List webhooks, without their secrets."""
        for tenant in self.tenants:
            self.require(Right.MANAGE, tenant.pk)
            self.require_whole_tenant(tenant)
        page = self.paginate_queryset(list_webhooks(tenants=self.tenants))
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(
        request=WebhookRequestSerializer, responses={201: NewWebhookSerializer}
    )
    def post(self, request: Request) -> Response:
        """Make a webhook; its secret is shown only now.

        400 naming `url` for an address that is not public, or not https, unless a
        superuser has listed its host.
        """
        body = WebhookRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        tenant = self.resolve_tenant()
        self.require(Right.MANAGE, tenant.pk)
        self.require_whole_tenant(tenant)
        given = {k: v for k, v in body.validated_data.items() if k != "tenant"}
        row, secret = create_webhook(tenant=tenant, actor=self.caller, **given)
        shown = WebhookSerializer(row).data
        answer = self.versioned(shown, status=201)
        answer.data = {**shown, "secret": secret}
        return answer


class WebhookDetailView(WebhookBase):
    """One webhook."""

    @extend_schema(responses=WebhookSerializer)
    def get(self, request: Request, webhook_id: str) -> Response:
        """Return a webhook, without its secret."""
        return self.versioned(WebhookSerializer(self.webhook(webhook_id)).data)

    @extend_schema(request=WebhookChangeSerializer, responses=WebhookSerializer)
    def patch(self, request: Request, webhook_id: str) -> Response:
        """Change what is given; the secret stays."""
        row = self.webhook(webhook_id)
        body = WebhookChangeSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        with self._as_seen(row):
            row = change_webhook(row, **body.validated_data)
        return self.versioned(WebhookSerializer(row).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, webhook_id: str) -> Response:
        """Delete a webhook with what waits for it."""
        row = self.webhook(webhook_id)
        with self._as_seen(row):
            delete_webhook(row)
        return Response(status=204)

    def _as_seen(self, row: Webhook) -> AbstractContextManager[None]:
        def shown() -> Mapping[str, Any]:
            current = list_webhooks(tenants=self.tenants).get(pk=row.pk)
            return WebhookSerializer(current).data

        return self.as_seen(row, shown)


class WebhookTestView(WebhookBase):
    """A test of a webhook."""

    @extend_schema(request=None, responses={202: NotificationSerializer})
    def post(self, request: Request, webhook_id: str) -> Response:
        """Send a test.

        The answer is its row in `notifications/`, which tells what came of it.
        """
        row = send_test(self.webhook(webhook_id))
        return Response(NotificationSerializer(row).data, status=202)


class SuperuserView(TenantScopedMixin, APIView):
    """A view for platform superusers only."""

    query_parameters = ()  # it is about no tenant

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse everybody else."""
        super().initial(request, *args, **kwargs)
        self.require_platform_admin()


class WebhookHostListView(SuperuserView, GenericAPIView[WebhookHost]):
    """The hosts that may be private, and speak plain http."""

    serializer_class = WebhookHostSerializer
    pagination_class = OpaqueCursorPagination
    queryset = WebhookHost.objects.none()  # names the model to the schema

    @extend_schema(responses=WebhookHostSerializer(many=True))
    def get(self, request: Request) -> Response:
        """List allowed hosts; they hold for all tenants."""
        page = self.paginate_queryset(list_hosts_across_tenants())
        return self.get_paginated_response(self.get_serializer(page, many=True).data)

    @extend_schema(
        request=WebhookHostRequestSerializer, responses={201: WebhookHostSerializer}
    )
    def post(self, request: Request) -> Response:
        """Allow a host, given as `name:port`; one that is allowed already stays so."""
        body = WebhookHostRequestSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        row = allow_host(body.validated_data["host"], by=self.caller)
        return Response(WebhookHostSerializer(row).data, status=201)


class WebhookHostDetailView(SuperuserView):
    """One allowed host."""

    @extend_schema(responses={204: None})
    def delete(self, request: Request, host_id: str) -> Response:
        """Take a host off the list; what goes there is refused from now on."""
        disallow_host(get_host_across_tenants(host_id))
        return Response(status=204)
