"""REST: the condition of a device, and alarms."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry.api_base import TenantScopedMixin
from registry.permissions import Right
from registry.selectors.devices import get_device
from state.lifecycle import AlarmState, Observation, Severity
from state.models import Alarm
from state.selectors import get_alarm, get_state, list_alarms
from state.serializers import AlarmSerializer, FeedbackSerializer, StateSerializer
from state.services.alarms import acknowledge_alarm
from state.services.feedback import give_feedback


class StateView(TenantScopedMixin, APIView):
    """What condition a device is in now."""

    @extend_schema(responses=StateSerializer)
    def get(self, request: Request, uid: str) -> Response:
        """Return presence, twin, telemetry and open alarms."""
        device = get_device(tenants=self.tenants, uid=uid)
        return Response(StateSerializer(get_state(device)).data)


class FeedbackView(TenantScopedMixin, APIView):
    """What the field sees."""

    @extend_schema(request=FeedbackSerializer, responses={201: FeedbackSerializer})
    def post(self, request: Request, uid: str) -> Response:
        """Record an observation of people at the device."""
        device = get_device(tenants=self.tenants, uid=uid)
        self.require(Right.OPERATE, device.tenant_id)
        body = FeedbackSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        given = give_feedback(
            device=device,
            observation=Observation(body.validated_data["observation"]),
            note=body.validated_data["note"],
            by=self.caller,
            at=datetime.now(UTC),
        )
        return Response(FeedbackSerializer(given).data, status=201)


class AlarmFilter(django_filters.FilterSet):  # type: ignore[misc]
    """What a list of alarms may be narrowed by."""

    device = django_filters.CharFilter("device__uid")
    site = django_filters.CharFilter("device__site__slug")
    product = django_filters.CharFilter("device__product__slug")
    code = django_filters.CharFilter("code")
    state = django_filters.MultipleChoiceFilter(choices=AlarmState.choices)
    severity = django_filters.MultipleChoiceFilter(choices=Severity.choices)


class AlarmListView(TenantScopedMixin, ListAPIView[Alarm]):
    """Alarms, open and cleared, in the order of their raising."""

    serializer_class = AlarmSerializer
    filterset_class = AlarmFilter

    def get_queryset(self) -> QuerySet[Alarm]:
        """Return the alarms that the caller may see."""
        return list_alarms(tenants=self.tenants)


class AlarmAcknowledgeView(TenantScopedMixin, APIView):
    """A person has seen an alarm."""

    @extend_schema(request=None, responses=AlarmSerializer)
    def post(self, request: Request, alarm_id: str, **kwargs: Any) -> Response:
        """Acknowledge an open alarm; a second time changes nothing."""
        alarm = get_alarm(tenants=self.tenants, alarm_id=_uuid(alarm_id))
        self.require(Right.OPERATE, alarm.tenant_id)
        alarm = acknowledge_alarm(alarm, by=self.caller, at=datetime.now(UTC))
        return Response(AlarmSerializer(alarm).data)


def _uuid(text: str) -> UUID | None:
    """Read an id; ids are opaque, so one that is none is just not found."""
    try:
        return UUID(text)
    except ValueError:
        return None
