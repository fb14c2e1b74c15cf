"""What the OpenAPI document says about versioned objects, and its examples."""

from __future__ import annotations

from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import get_view_model
from drf_spectacular.utils import OpenApiExample, OpenApiParameter

from iotplatform.common.etags import VersionedView
from iotplatform.common.query_parameters import KnownParametersView
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
    """Adds what all operations of a view know, version headers, and examples."""

    def get_override_parameters(self) -> list[Any]:
        """Add the parameters of all the view's operations, If-Match and ETag."""
        found: list[OpenApiParameter] = []
        if isinstance(self.view, KnownParametersView):
            found += self.view.query_parameters
        if not isinstance(self.view, VersionedView):
            return found
        of_one = self.path.endswith("}/")
        if self.method in ("PATCH", "DELETE"):
            found.append(IF_MATCH)
        if self.method == "POST" or (of_one and self.method in ("GET", "PATCH")):
            found.append(ETAG)
        return found

    def get_description(self) -> str:  # type: ignore[override]
        """Name the object where views of many kinds share their words."""
        text = str(super().get_description()).replace("``", "`")
        if "{one}" not in text and "{many}" not in text:
            return text
        names = get_view_model(self.view)._meta  # type: ignore[no-untyped-call]
        name = str(names.verbose_name)
        article = "an" if name[0] in "aeiou" else "a"
        one, many = f"{article} {name}", str(names.verbose_name_plural)
        return text.replace("{one}", one).replace("{many}", many)

    def get_summary(self) -> str | None:
        """Return the first sentence: the list of operations shows nothing else."""
        given: str | None = super().get_summary()
        text = " ".join(self.get_description().partition("\n\n")[0].split())
        return given or text.partition(". ")[0].removesuffix(".")

    def get_filter_backends(self) -> list[Any]:
        """Find the filters of a file, too: it is not a list to drf-spectacular."""
        view: Any = self.view
        if getattr(view, "is_filtered_file", False):
            return list(view.filter_backends)
        return list(super().get_filter_backends())

    def get_examples(self) -> list[OpenApiExample]:
        path = self.path.removeprefix("/api/v1/")
        return EXAMPLES.get(f"{self.method} {path}", [])
