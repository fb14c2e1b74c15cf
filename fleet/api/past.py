"""REST API: the fleet at an earlier moment."""

from __future__ import annotations

from datetime import datetime

from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from iotplatform.common.instants import NOT_AN_INSTANT, read_instant
from iotplatform.common.problems import BadInput

AS_OF = OpenApiParameter(
    "as_of",
    datetime,
    description="Search the fleet of this moment of the last 30 days, by uid, tenant,"
    " site, lifecycle, connectivity, cause, firmware, config_version and alarms.",
)


def read_moments(request: Request, *names: str) -> list[datetime]:
    """Return the instants in query parameters; BadInput names each wrong one."""
    found = {name: read_instant(request.query_params.get(name, "")) for name in names}
    if wrong := [name for name, moment in found.items() if moment is None]:
        raise BadInput(
            errors=[{"field": name, "message": NOT_AN_INSTANT} for name in wrong]
        )
    return [moment for moment in found.values() if moment is not None]
