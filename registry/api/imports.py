"""REST: import and export of devices as files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response

from iotplatform.common.flags import read_flag
from iotplatform.common.problems import BadInput, TooLarge
from iotplatform.common.uploads import longest_body
from registry.api.devices import DeviceFilter, DeviceView
from registry.api.negotiation import FileNegotiation
from registry.api.serializers.devices import ImportedSerializer
from registry.file_responses import CSV, EXPORTS, NDJSON, export_response
from registry.models import Device
from registry.permissions import Right
from registry.selectors.devices import list_devices
from registry.services.imports.importing import find_tenant, import_devices

if TYPE_CHECKING:
    from registry.services.imports.decoding import Readable

DRY_RUN = OpenApiParameter(
    "dry_run", bool, description="Check everything, write nothing."
)
FORMAT = OpenApiParameter("format", str, enum=[CSV, NDJSON], default=CSV)


class _Unread(BaseParser):
    """Leaves the body unread, so that the import can read it line by line."""

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        return stream


class CsvParser(_Unread):
    """``text/csv`` with a header."""

    media_type = "text/csv"


class NdjsonParser(_Unread):
    """``application/x-ndjson``, one object per line."""

    media_type = "application/x-ndjson"


class DeviceImportView(DeviceView):
    """Registers the devices of a file."""

    parser_classes = [CsvParser, NdjsonParser]
    content_negotiation_class = FileNegotiation
    serializer_class = ImportedSerializer

    @extend_schema(
        parameters=[DRY_RUN],
        request={
            "text/csv": OpenApiTypes.STR,
            "application/x-ndjson": OpenApiTypes.STR,
        },
        responses={
            200: ImportedSerializer,
            400: OpenApiResponse(
                description="Nothing was imported: `errors` names line, field and value"
            ),
            413: OpenApiResponse(description="The body is too long"),
        },
    )
    def post(self, request: Request) -> Response:
        """Register the devices of a file as provisioned: all of them, or none.

        A CSV header names device fields; `tags` are separated by `;`, `attributes` is
        a JSON object, and `attributes.name` is a single attribute. Commas, semicolons
        or tabs separate the cells. NDJSON has one object per line, as in
        `POST devices/`. Both are UTF-8. All devices become those of one tenant: the
        caller's only one, that of `?tenant=`, or that which the file names.
        """
        is_dry_run = read_flag(request.query_params, "dry_run")
        is_csv = (request.content_type or "").startswith(CsvParser.media_type)
        file_format = CSV if is_csv else NDJSON
        stream, named = cast("Readable", request.data), {}
        if len(self.tenants) > 1:  # then the file may name the tenant
            _refuse_long_body(request)
            if request.data:
                named["tenant"], stream = find_tenant(stream, file_format)
        tenant = self.resolve_tenant(data=named)
        self.require(Right.MANAGE, tenant.pk)
        _refuse_long_body(request)
        if not request.data:
            raise BadInput(errors=[{"field": "", "message": "The body is empty."}])
        created = import_devices(
            tenant=tenant,
            stream=stream,
            file_format=file_format,
            actor=self.caller,
            dry_run=is_dry_run,
        )
        return Response({"created": created})


def _refuse_long_body(request: Request) -> None:
    """Raise TooLarge before a byte is read; a body in chunks has its length by now."""
    most = longest_body()
    if int(request.META.get("CONTENT_LENGTH") or 0) > most:
        raise TooLarge(f"The body is too long: at most {most} bytes.")


class DeviceExportView(DeviceView):
    """Devices as a file that can be imported again."""

    filterset_class = DeviceFilter
    is_filtered_file = True
    content_negotiation_class = FileNegotiation
    queryset = Device.objects.none()  # names the model to the schema

    @extend_schema(
        parameters=[FORMAT],
        responses={
            (200, "text/csv"): OpenApiTypes.STR,
            (200, "application/x-ndjson"): OpenApiTypes.STR,
        },
    )
    def get(self, request: Request) -> HttpResponseBase:
        """Stream the devices that match the filters of the list."""
        name = request.query_params.get("format", CSV)
        if name not in EXPORTS:
            raise BadInput(format=f"One of: {', '.join(EXPORTS)}.")
        devices = self.filter_queryset(list_devices(tenants=self.tenants))
        return export_response(devices, name)
