"""REST API: which devices run which firmware."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from fleet.selectors.firmware import get_firmware_matrix
from registry.api.base import TenantScopedMixin

Plain = serializers.Serializer[Any]


class FirmwareCountSerializer(Plain):
    """How many devices of a product run a version."""

    product = serializers.CharField()
    firmware = serializers.CharField(
        allow_null=True, help_text="Null: it has reported none."
    )
    count = serializers.IntegerField()
    query = serializers.CharField(help_text="The search that finds them.")


class FirmwareMatrixSerializer(Plain):
    """The devices in service, by product and firmware."""

    index_lag_seconds = serializers.FloatField()
    products = serializers.ListField(child=serializers.CharField())
    versions = serializers.ListField(
        child=serializers.CharField(allow_null=True), help_text="The newest first."
    )
    counts = FirmwareCountSerializer(many=True)


class FleetFirmwareView(TenantScopedMixin):
    """Which devices run which firmware."""

    @extend_schema(operation_id="fleet_firmware", responses=FirmwareMatrixSerializer)
    def get(self, request: Request) -> Response:
        """Count the devices in service by product and firmware."""
        found = get_firmware_matrix(tenants=self.tenants)
        return Response(FirmwareMatrixSerializer(found).data)
