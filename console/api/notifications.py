"""REST API: the delivery log of everything that is sent to somebody outside."""

from __future__ import annotations

from typing import Any

import django_filters
from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commands.api.commands import NewestFirst
from console.api.notification_serializers import NotificationSerializer
from console.choices import Channel, DeliveryStatus
from console.models import Notification
from console.selectors.webhooks import get_notification, list_notifications
from console.services.webhooks.replay import replay_notification
from registry.api.base import TenantScopedMixin
from registry.permissions import Right


class NotificationFilter(django_filters.FilterSet):  # type: ignore[misc]
    status = django_filters.MultipleChoiceFilter(choices=DeliveryStatus.choices)
    channel = django_filters.MultipleChoiceFilter(choices=Channel.choices)
    webhook = django_filters.UUIDFilter(field_name="webhook__public_id")
    rule = django_filters.UUIDFilter(field_name="rule__public_id")
    incident = django_filters.UUIDFilter(field_name="incident__public_id")
    subject = django_filters.CharFilter()
    type = django_filters.CharFilter()

    class Meta:
        model = Notification
        fields: list[str] = []


class NotificationListView(TenantScopedMixin, ListAPIView[Notification]):
    """What was sent, or waits to be sent, the newest first."""

    serializer_class = NotificationSerializer
    pagination_class = NewestFirst
    filterset_class = NotificationFilter
    queryset = Notification.objects.none()  # names the model to the schema

    def get_queryset(self) -> Any:
        return list_notifications(tenants=self.tenants)


class NotificationView(TenantScopedMixin, APIView):
    """One message."""

    @extend_schema(responses=NotificationSerializer)
    def get(self, request: Request, notification_id: str) -> Response:
        """Return a message and what came of it."""
        row = get_notification(tenants=self.tenants, public_id=notification_id)
        return Response(NotificationSerializer(row).data)


class NotificationReplayView(TenantScopedMixin, APIView):
    """A message sent again."""

    @extend_schema(request=None, responses=NotificationSerializer)
    def post(self, request: Request, notification_id: str) -> Response:
        """Send it again, with its first id; 409 while it waits for its next try."""
        row = get_notification(tenants=self.tenants, public_id=notification_id)
        self.require(Right.MANAGE, row.tenant_id)
        return Response(NotificationSerializer(replay_notification(row)).data)
