"""REST API: the devices of a search as a file."""

from __future__ import annotations

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from fleet.api.search import QUERY, WAIT_INDEXED
from fleet.file_responses import CSV, NDJSON, export_response, read_format
from fleet.selectors.exports import open_export
from fleet.selectors.wait_indexed import wait_until_indexed
from iotplatform.common.flags import read_flag
from registry.api.base import TenantScopedMixin
from registry.api.negotiation import FileNegotiation

PARAMETERS = [
    QUERY,
    OpenApiParameter(
        "fields", str, description="Columns in their order, comma-separated; else all."
    ),
    OpenApiParameter("format", str, enum=[CSV, NDJSON], default=CSV),
    WAIT_INDEXED,
]


class FleetExportView(TenantScopedMixin):
    """Devices that match a query, as a file."""

    content_negotiation_class = FileNegotiation

    @extend_schema(
        operation_id="fleet_export",
        parameters=PARAMETERS,
        responses={
            (200, "text/csv"): OpenApiTypes.STR,
            (200, "application/x-ndjson"): OpenApiTypes.STR,
        },
    )
    def get(self, request: Request) -> HttpResponseBase:
        """Stream every device that matches, in the order of the uids.

        A CSV cell that a spreadsheet would take for a formula begins with `'`; lists
        are joined with `;`, objects are JSON. NDJSON has the documents unchanged.
        `Index-Lag-Seconds` says how far the index is behind.
        """
        params = request.query_params
        name = read_format(params.get("format"))
        if read_flag(params, "wait_indexed"):
            wait_until_indexed()
        fields = params.get("fields", "")
        export = open_export(
            tenants=self.tenants,
            q=params.get("q", ""),
            fields=[field.strip() for field in fields.split(",")] if fields else [],
        )
        return export_response(export, name)
