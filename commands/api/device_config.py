"""REST: the desired configuration of a device."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from commands.api.commands import IDEMPOTENCY_KEY, command_data
from commands.api.serializers.commands import CommandSerializer
from commands.selectors.commands import get_command
from commands.services.commands import request_command
from iotplatform.common.etags import if_match
from iotplatform.common.parsers import MergePatchParser, StrictJSONParser
from iotplatform.common.problems import BadInput, PreconditionFailed
from registry.api.base import TenantScopedMixin
from registry.permissions import Right
from registry.selectors.devices import get_device

MERGE_PATCH = {"type": "object", "additionalProperties": {}}


class DesiredView(TenantScopedMixin, APIView):
    """The desired configuration of a device."""

    parser_classes = (MergePatchParser, StrictJSONParser)

    @extend_schema(
        request={
            "application/merge-patch+json": MERGE_PATCH,
            "application/json": MERGE_PATCH,
        },
        parameters=[
            OpenApiParameter("If-Match", str, OpenApiParameter.HEADER),
            IDEMPOTENCY_KEY,
        ],
        responses={202: CommandSerializer},
    )
    def patch(self, request: Request, uid: str) -> Response:
        """Merge the patch into the desired document, and send it as a command."""
        device = get_device(tenants=self.tenants, uid=uid)
        self.require(Right.OPERATE, device.tenant_id)
        if not isinstance(request.data, dict):
            raise BadInput(params="Must be a JSON object (a merge patch).")
        command, _ = request_command(
            device=device,
            name="set_config",
            params=dict(request.data),
            policy=None,
            idempotency_key=request.headers.get("Idempotency-Key"),
            actor=self.caller,
            expected_version=_expected_version(request),
        )
        shown = get_command(tenants=self.tenants, public_id=command.public_id)
        return Response(command_data([shown], request)[0], status=202)


def _expected_version(request: Request) -> int | None:
    seen = if_match(request.headers)
    if seen is None:
        return None
    if not seen.isdigit():
        raise PreconditionFailed(f"There is no desired version {seen!r}.")
    return int(seen)
