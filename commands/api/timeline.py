"""REST: the merged timeline of a device."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param
from rest_framework.views import APIView

from commands.api.serializers.commands import (
    TimelineEntrySerializer,
    TimelineSerializer,
)
from commands.selectors.timeline import MICROSECOND, Place, get_timeline_page
from iotplatform.common.instants import NOT_AN_INSTANT, read_instant
from iotplatform.common.pagination import read_limit
from iotplatform.common.problems import BadInput
from registry.api.base import TenantScopedMixin
from registry.selectors.devices import get_device

OLDER, NEWER = "o", "n"
BEGIN = datetime.min.replace(tzinfo=UTC)  # nothing is before it
MOST_SKIPPED = 100_000  # entries of one instant


class TimelineView(TenantScopedMixin, APIView):
    """One merged timeline: registry changes, state and commands of a device."""

    @extend_schema(
        parameters=[
            OpenApiParameter("before", datetime, description="Entries before this."),
            OpenApiParameter("cursor", str, description="Of `next` or `previous`."),
            OpenApiParameter("limit", int),
        ],
        responses=TimelineSerializer,
    )
    def get(self, request: Request, uid: str) -> Response:
        """Return a page of the device's history, newest entries first."""
        device = get_device(tenants=self.tenants, uid=uid)
        limit = read_limit(request.query_params, default=100)
        direction, place = _cursor(request) or (None, _first_place(request))
        page = get_timeline_page(device, place, limit=limit, newer=direction == NEWER)
        # The first page knows of nothing newer.
        start = page.start if direction else None
        rows = TimelineEntrySerializer(page.entries, many=True).data
        previous, following = (
            _url(request, NEWER, start),
            _url(request, OLDER, page.end),
        )
        return Response({"next": following, "previous": previous, "results": rows})


def _first_place(request: Request) -> Place:
    text = request.query_params.get("before")
    found = timezone.now() if text is None else read_instant(text)
    if found is None or found == BEGIN:
        raise BadInput(before=NOT_AN_INSTANT)
    return Place(found - MICROSECOND)


def _url(request: Request, direction: str, place: Place | None) -> str | None:
    if place is None:
        return None
    text = f"{direction} {place.count} {place.at.isoformat()}"
    cursor = urlsafe_b64encode(text.encode()).decode()
    url = remove_query_param(request.build_absolute_uri(), "before")
    return str(replace_query_param(url, "cursor", cursor))


def _cursor(request: Request) -> tuple[str, Place] | None:
    """Return which way it goes from which place; BadInput if we did not make it."""
    text = request.query_params.get("cursor")
    if not text:
        return None
    try:
        direction, count, at = urlsafe_b64decode(text).decode("ascii").split(" ")
        place = Place(datetime.fromisoformat(at), int(count))
        is_ours = direction in (OLDER, NEWER) and 0 <= place.count <= MOST_SKIPPED
        if is_ours and place.at.tzinfo and place.edge:
            return direction, place
    except (ValueError, OverflowError):
        pass
    raise BadInput(cursor="Not a cursor of this list.")
