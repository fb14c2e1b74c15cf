"""REST: a device's lifecycle, replacement included."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from commands.services.lifecycle import move_device
from registry.api.devices import DeviceView, validated
from registry.api.naming import with_objects
from registry.lifecycle import CONNECTS
from registry.permissions import Right
from registry.serializers import DeviceSerializer, MoveSerializer
from registry.services.credentials import await_withdrawal


class LifecycleView(DeviceView):
    """The lifecycle of a device; a replacement hands over what hangs on its place."""

    serializer_class = MoveSerializer

    @extend_schema(
        request=MoveSerializer,
        responses={
            200: DeviceSerializer,
            409: OpenApiResponse(
                description="The move is not allowed; `allowed` names those that are."
            ),
        },
    )
    def post(self, request: Request, uid: str) -> Response:
        """Move a device's lifecycle."""
        device = self.device(uid)
        self.require(Right.MANAGE, device.tenant_id)
        given = validated(MoveSerializer(data=request.data))
        moved = with_objects(given, tenant=device.tenant)
        move_device(device=device, actor=self.caller, **moved)
        if given["to"] not in CONNECTS:
            # The move stands whether or not the broker follows in time.
            await_withdrawal(device)
        return self.shown(device)
