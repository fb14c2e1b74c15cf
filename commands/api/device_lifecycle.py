"""REST: a device's lifecycle with its replacement, and its transfer."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from commands.services.device_lifecycle import move_device
from commands.services.device_transfer import transfer_device
from iotplatform.common.problems import BadInput
from registry.api.devices import DeviceView, validated
from registry.api.references import with_objects
from registry.api.serializers.devices import (
    DeviceSerializer,
    MoveSerializer,
    TransferSerializer,
)
from registry.choices import CONNECTS
from registry.models import Tenant
from registry.permissions import Right, tenants_where
from registry.services.credentials import await_withdrawal
from registry.services.transfer import Destination


class LifecycleView(DeviceView):
    """The lifecycle of a device; a replacement passes its place on to the successor."""

    serializer_class = MoveSerializer

    @extend_schema(
        request=MoveSerializer,
        responses={
            200: DeviceSerializer,
            409: OpenApiResponse(
                description="The move is not allowed; `allowed` lists those that are."
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
            # The move is done, whether or not the broker follows in time.
            await_withdrawal(device)
        return self.shown(device)


class TransferView(DeviceView):
    """The owner of a device."""

    serializer_class = TransferSerializer

    @extend_schema(
        request=TransferSerializer,
        responses={
            200: DeviceSerializer,
            409: OpenApiResponse(description="A gateway that still has children."),
        },
    )
    def post(self, request: Request, uid: str) -> Response:
        """Give a device to another tenant; the caller must administer both tenants.

        Its credentials are revoked, its open commands cancelled, its configuration
        emptied. Its history stays with the old owner.
        """
        device = self.device(uid)
        self.require(Right.ADMINISTER, device.tenant_id)
        given = validated(TransferSerializer(data=request.data))
        reason = given.pop("reason", "")
        tenant = self._destination(given.pop("tenant"))
        found = with_objects(given, tenant=tenant)
        moved = transfer_device(
            device=device,
            to=Destination(tenant=tenant, **found),
            reason=reason,
            actor=self.caller,
        )
        await_withdrawal(moved)
        return self.shown(moved)

    def _destination(self, slug: str) -> Tenant:
        for tenant in tenants_where(self.caller, Right.VIEW):
            if tenant.slug == slug:
                self.require(Right.ADMINISTER, tenant.pk)
                return tenant
        raise BadInput(tenant="There is no such tenant.")
