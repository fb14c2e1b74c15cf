"""Views behind signed links: a device uploads a log, or downloads firmware."""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.http import UnreadablePostError
from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from commands.exceptions import FileTooLong
from commands.services.device_files import Part, get_uploaded, store_part
from iotplatform.common.problems import BadInput
from iotplatform.common.query_parameters import KnownParametersView
from iotplatform.common.signed_links import FIRMWARE, UPLOAD, read_link
from iotplatform.openapi.schema import PlatformSchema
from registry.api.negotiation import FileNegotiation
from registry.file_responses import file_response
from registry.selectors.firmware import get_release_across_tenants

READ_BYTES = 64 * 1024
RANGE = re.compile(r"bytes[ \t]+(\d{1,18})-(\d{1,18})/(\d{1,18})")
OFFSET = "Upload-Offset"
REFUSALS = {
    403: OpenApiResponse(description="The link's signature is not valid."),
    410: OpenApiResponse(description="The link has expired."),
}


class LinkSchema(PlatformSchema):
    """Operations whose right is in the link."""

    def get_tags(self) -> list[str]:
        """Group them with the other operations of devices."""
        return ["device"]


class LinkView(KnownParametersView):
    """What both share: the signature in the link is the right to use it."""

    schema = LinkSchema()
    authentication_classes: list[Any] = []
    permission_classes: list[Any] = []
    throttle_classes: list[Any] = []
    content_negotiation_class = FileNegotiation


class UploadedSerializer(serializers.Serializer[Any]):
    """How far an upload has come."""

    name = serializers.CharField()
    size = serializers.IntegerField(help_text="Bytes that the platform has.")
    complete = serializers.BooleanField(source="is_complete")


class UploadView(LinkView):
    """The file that a device uploads for one command."""

    @extend_schema(
        request={"application/octet-stream": OpenApiTypes.BINARY},
        parameters=[
            OpenApiParameter(
                "Content-Range",
                str,
                OpenApiParameter.HEADER,
                description="`bytes 0-999/5000`: this is one part of the file.",
            )
        ],
        responses={
            200: UploadedSerializer,
            409: OpenApiResponse(description="The part does not begin at the end."),
            413: OpenApiResponse(description="The file is longer than `max_bytes`."),
            **REFUSALS,
        },
    )
    def put(self, request: Request, token: str) -> Response:
        """Upload the file, or with Content-Range its next part.

        What arrived before a connection broke is kept: HEAD tells how much.
        """
        now = timezone.now()
        command_id = read_link(UPLOAD, token, now=now)
        file = store_part(command_id, _part(request), now=now)
        headers = {OFFSET: str(file.size)}
        return Response(UploadedSerializer(file).data, headers=headers)

    @extend_schema(exclude=True)
    def head(self, request: Request, token: str) -> Response:
        """Return in Upload-Offset how many bytes the platform has."""
        file = get_uploaded(read_link(UPLOAD, token, now=timezone.now()))
        return Response(headers={OFFSET: str(file.size if file else 0)})


class FirmwareView(LinkView):
    """The file of the firmware release that a device shall install."""

    @extend_schema(
        responses={
            (200, "application/octet-stream"): OpenApiTypes.BINARY,
            (206, "application/octet-stream"): OpenApiTypes.BINARY,
            304: None,
            416: OpenApiResponse(description="The range begins after the file's end."),
            **REFUSALS,
            404: OpenApiResponse(description="The release was deleted."),
        },
    )
    def get(self, request: Request, token: str) -> HttpResponseBase:
        """Download the file or, with Range, a part; its ETag is its SHA-256."""
        release_id = read_link(FIRMWARE, token, now=timezone.now())
        return file_response(request._request, get_release_across_tenants(release_id))


def _part(request: Request) -> Part:
    """Read the body, as far as it arrives. Raises BadInput and FileTooLong."""
    most = int(settings.DEVICE_FILE_MAX_BYTES)
    length = int(request.META.get("CONTENT_LENGTH") or 0)
    start, total = 0, length
    if (text := request.headers.get("Content-Range")) is not None:
        found = RANGE.fullmatch(text.strip())
        if found is None:
            raise _bad_range("Must be like: bytes 0-999/5000.")
        start, last, total = map(int, found.groups())
        if last - start + 1 != length or last >= total:
            raise _bad_range("Does not fit the body or the total.")
    if max(length, total) > most:
        raise FileTooLong(f"At most {most} bytes can be uploaded.")
    return Part(start, _read(request, length), total)


def _bad_range(message: str) -> BadInput:
    return BadInput(errors=[{"field": "Content-Range", "message": message}])


def _read(request: Request, length: int) -> bytes:
    content = bytearray()
    try:
        while len(content) < length and (piece := request._request.read(READ_BYTES)):
            content += piece
    except UnreadablePostError:
        pass  # the connection broke: the device goes on from here later
    return bytes(content)
