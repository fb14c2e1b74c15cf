"""REST: the condition of a device, and what people on site see."""

from __future__ import annotations

from datetime import UTC, datetime

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry.api.base import TenantScopedMixin
from registry.permissions import Right
from registry.selectors.devices import get_device
from state.api.serializers import FeedbackSerializer, StateSerializer
from state.choices import Observation
from state.selectors import get_state
from state.services.feedback import record_feedback


class StateView(TenantScopedMixin, APIView):
    """The condition of a device now."""

    @extend_schema(responses=StateSerializer)
    def get(self, request: Request, uid: str) -> Response:
        """Return presence, twin, telemetry and open alarms."""
        device = get_device(tenants=self.tenants, uid=uid)
        return Response(StateSerializer(get_state(device)).data)


class FeedbackView(TenantScopedMixin, APIView):
    """What people on site see."""

    @extend_schema(request=FeedbackSerializer, responses={201: FeedbackSerializer})
    def post(self, request: Request, uid: str) -> Response:
        """Record what people at the device see."""
        device = get_device(tenants=self.tenants, uid=uid)
        self.require(Right.OPERATE, device.tenant_id)
        body = FeedbackSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        given = record_feedback(
            device=device,
            observation=Observation(body.validated_data["observation"]),
            note=body.validated_data["note"],
            by=self.caller,
            at=datetime.now(UTC),
        )
        return Response(FeedbackSerializer(given).data, status=201)
