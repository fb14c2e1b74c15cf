"""REST API: the search of the fleet, and the fields of its query language."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from fleet.api.past import AS_OF, read_moments
from fleet.api.serializers import (
    FieldListSerializer,
    SearchResultSerializer,
    TraitListSerializer,
)
from fleet.fields import FIELDS, PATTERNED, RANGED, Field
from fleet.provenance import how_known
from fleet.selectors.as_of import search_as_of
from fleet.selectors.search import DEFAULT_LIMIT, search
from fleet.selectors.traits import Trait, find_traits
from fleet.selectors.wait_indexed import wait_until_indexed
from iotplatform.common.flags import read_flag
from iotplatform.common.pagination import read_limit
from iotplatform.common.query_parameters import KnownParametersView
from registry.api.base import TenantScopedMixin

QUERY = OpenApiParameter("q", str, required=True, description="The query; * finds all.")
WAIT_INDEXED = OpenApiParameter(
    "wait_indexed",
    bool,
    description="First wait, up to 10 s, until earlier changes are in the index.",
)
PARAMETERS = [
    QUERY,
    OpenApiParameter("sort", str, description="`field` or `-field`; default `uid`."),
    OpenApiParameter("cursor", str, description="From `next` of the previous page."),
    OpenApiParameter("limit", int, description="1 to 1,000; default 100."),
    OpenApiParameter("facets", str, description="Fields to count, comma-separated."),
    WAIT_INDEXED,
]


class FleetSearchView(TenantScopedMixin):
    """Devices that match a query."""

    @extend_schema(
        operation_id="fleet_search",
        parameters=[*PARAMETERS, AS_OF],
        responses=SearchResultSerializer,
    )
    def get(self, request: Request) -> Response:
        """Search the fleet: one page, the facets, and how far the index is behind."""
        params = request.query_params
        asked: dict[str, Any] = {
            "tenants": self.tenants,
            "q": params.get("q", ""),
            "sort": params.get("sort") or None,
            "cursor": params.get("cursor") or None,
            "limit": read_limit(params, default=DEFAULT_LIMIT),
            "facets": [name for name in params.get("facets", "").split(",") if name],
        }
        waits = read_flag(params, "wait_indexed")
        if "as_of" in params:
            [at] = read_moments(request, "as_of")
            found = search_as_of(at=at, **asked)
        else:
            if waits:
                wait_until_indexed()
            found = search(**asked)
        url = request.build_absolute_uri()
        cursor = found.next_cursor
        return Response(
            {
                "total": found.total,
                "index_lag_seconds": found.index_lag_seconds,
                "results": found.results,
                "facets": found.facets,
                "next": cursor and replace_query_param(url, "cursor", cursor),
            }
        )


class FleetTraitsView(TenantScopedMixin):
    """What the devices of a search share, and the rest of the fleet does not."""

    @extend_schema(
        operation_id="fleet_traits",
        parameters=[QUERY],
        responses=TraitListSerializer,
    )
    def get(self, request: Request) -> Response:
        """Try every field and declared key that the query does not name."""
        found = find_traits(tenants=self.tenants, q=request.query_params.get("q", ""))
        return Response(
            {
                "total": found.total,
                "fleet_total": found.fleet_total,
                "traits": [_trait(trait) for trait in found.traits],
            }
        )


class FleetFieldsView(KnownParametersView):
    """The fields of the query language."""

    @extend_schema(operation_id="fleet_fields", responses=FieldListSerializer)
    def get(self, request: Request) -> Response:
        """Return every field with its kind and operators."""
        return Response({"results": [_field(field) for field in FIELDS]})


def _field(field: Field) -> dict[str, Any]:
    operators = [":"]
    if field.kind in RANGED:
        operators += ["<", "<=", ">", ">=", "[a TO b]"]
    if field.kind in PATTERNED:
        operators += ["*", "?"]
    known_by, rule = how_known(field.name)
    return {
        "name": field.name,
        "known_by": known_by,
        "rule": rule,
        "kind": field.kind.value,
        "help": field.help,
        "aliases": list(field.aliases),
        "is_list": field.is_list,
        "sorts": field.sorts,
        "facets": field.facets,
        "operators": operators,
    }


def _trait(trait: Trait) -> dict[str, Any]:
    counted = trait.counted
    return {
        "conditions": [
            {"field": each.field, "value": each.value} for each in trait.conditions
        ],
        "query": trait.query,
        "count": counted.count,
        "share": counted.share,
        "fleet_count": counted.fleet_count,
        "fleet_share": counted.fleet_share,
        "lift": counted.lift,
        "p_value": trait.p_value,
        "at_risk": {"count": trait.at_risk, "query": trait.at_risk_query},
    }
