"""REST API: what may be typed at a position of a query."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from fleet.api.serializers import SuggestionsSerializer
from fleet.selectors.suggestions import Option, suggest
from iotplatform.common.query_parameters import whole_number
from registry.api.base import TenantScopedMixin

PARAMETERS = [
    OpenApiParameter("q", str, description="The query, which may be half typed."),
    OpenApiParameter(
        "at", int, description="The position in characters; default its end."
    ),
]


class FleetSuggestView(TenantScopedMixin):
    """Completes queries."""

    @extend_schema(
        operation_id="fleet_suggest",
        parameters=PARAMETERS,
        responses=SuggestionsSerializer,
    )
    def get(self, request: Request) -> Response:
        """Return what may stand there: `q[:from] + text + q[to:]` is the new query."""
        q = request.query_params.get("q", "")
        at = whole_number(request, "at", most=len(q))
        found = suggest(tenants=self.tenants, q=q, at=len(q) if at is None else at)
        return Response(
            {
                "from": found.begin,
                "to": found.end,
                "options": [_option(option) for option in found.options],
            }
        )


def _option(option: Option) -> dict[str, Any]:
    row: dict[str, Any] = {"text": option.text, "kind": option.kind.value}
    if option.count is not None:
        row["count"] = option.count
    if option.help:
        row["help"] = option.help
    return row
