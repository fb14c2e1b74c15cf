"""REST API: the fleet at an earlier moment, and what changed between two."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleet.selectors.changes import find_changes
from iotplatform.common.instants import NOT_AN_INSTANT, read_instant
from iotplatform.common.problems import BadInput
from registry.api.base import TenantScopedMixin

AS_OF = OpenApiParameter(
    "as_of",
    datetime,
    description="Search the fleet of this moment of the last 30 days, by uid, tenant,"
    " site, lifecycle, connectivity, cause, firmware, config_version and alarms.",
)


class MoverSerializer(serializers.Serializer[Any]):
    """A device that joined or left the result, and what changed of it."""

    uid = serializers.CharField()
    reason = serializers.CharField()


class ChangesSerializer(serializers.Serializer[Any]):
    """The difference of the results of a query at two moments."""

    joined = MoverSerializer(many=True)
    left = MoverSerializer(many=True)
    kept = serializers.IntegerField(help_text="Devices that it finds at both.")


class FleetChangesView(TenantScopedMixin):
    """The devices that joined or left the result of a query."""

    @extend_schema(
        operation_id="fleet_changes",
        parameters=[
            OpenApiParameter("q", str, required=True, description="The query."),
            OpenApiParameter("from", datetime, required=True),
            OpenApiParameter("to", datetime, required=True),
        ],
        responses=ChangesSerializer,
    )
    def get(self, request: Request) -> Response:
        """Compare two moments of the last 30 days; the query is as with `as_of`."""
        begin, end = read_moments(request, "from", "to")
        found = find_changes(
            tenants=self.tenants,
            q=request.query_params.get("q", ""),
            from_at=begin,
            to_at=end,
        )
        return Response(ChangesSerializer(found).data)


def read_moments(request: Request, *names: str) -> list[datetime]:
    """Return the instants in query parameters; BadInput names each wrong one."""
    found = {name: read_instant(request.query_params.get(name, "")) for name in names}
    if wrong := [name for name, moment in found.items() if moment is None]:
        raise BadInput(
            errors=[{"field": name, "message": NOT_AN_INSTANT} for name in wrong]
        )
    return [moment for moment in found.values() if moment is not None]
