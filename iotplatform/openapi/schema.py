"""What the OpenAPI document says about versioned objects, and its examples."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiParameter

from iotplatform.common.etags import VersionedView
from iotplatform.openapi.examples import EXAMPLES

IF_MATCH = OpenApiParameter(
    "If-Match",
    str,
    OpenApiParameter.HEADER,
    description="The ETag that the caller saw; 412 when the object has changed since.",
)
ETAG = OpenApiParameter(
    "ETag",
    str,
    OpenApiParameter.HEADER,
    response=[200, 201],
    description="The version of the object, for `If-Match`.",
)


class PlatformSchema(AutoSchema):
    """Adds version headers of versioned objects, and examples."""

    def get_override_parameters(self) -> list[Any]:
        """Add the headers If-Match and ETag."""
        if not isinstance(self.view, VersionedView):
            return []
        of_one = self.path.endswith("}/")
        found: list[OpenApiParameter] = []
        if self.method in ("PATCH", "DELETE"):
            found.append(IF_MATCH)
        if self.method == "POST" or (of_one and self.method in ("GET", "PATCH")):
            found.append(ETAG)
        return found

    def get_examples(self) -> list[OpenApiExample]:
        path = self.path.removeprefix("/api/v1/")
        return EXAMPLES.get(f"{self.method} {path}", [])
