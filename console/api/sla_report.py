"""REST API: the SLA report."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.http.response import HttpResponseBase
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from console.presenters.sla_file import csv_response
from console.selectors.sla_report import get_sla_report
from iotplatform.common.instants import NOT_AN_INSTANT, read_instant
from iotplatform.common.problems import BadInput
from registry.api.base import TenantScopedMixin
from registry.api.negotiation import FileNegotiation
from registry.selectors.places import get_site
from state.selectors.lost_time import CAUSES

LONGEST = timedelta(days=400)  # so long connectivity is kept
USUAL = timedelta(days=30)
JSON, CSV = "json", "csv"


class LostMinutesSerializer(serializers.Serializer[Any]):
    """Device-minutes in service and not online; each has exactly one cause."""

    def get_fields(self) -> dict[str, Any]:
        return {cause: serializers.FloatField() for cause in sorted(CAUSES)}


class IncidentFiguresSerializer(serializers.Serializer[Any]):
    """Incidents that opened in this time; null: there is no policy, or no value."""

    count = serializers.IntegerField()
    acknowledged_in_time = serializers.IntegerField(allow_null=True)
    resolved_in_time = serializers.IntegerField(allow_null=True)
    median_acknowledge_seconds = serializers.FloatField(allow_null=True)
    median_resolve_seconds = serializers.FloatField(allow_null=True)


class CommandFiguresSerializer(serializers.Serializer[Any]):
    """Commands that ended in this time; cancelled ones do not count."""

    count = serializers.IntegerField()
    succeeded_share = serializers.FloatField(allow_null=True)
    latency_p50_ms = serializers.FloatField(allow_null=True)
    latency_p95_ms = serializers.FloatField(allow_null=True)


class ReportLineSerializer(serializers.Serializer[Any]):
    """The figures of one site."""

    tenant = serializers.CharField()
    site = serializers.CharField()
    active_minutes = serializers.FloatField(help_text="Of all its devices in service.")
    availability = serializers.FloatField(
        allow_null=True, help_text="Online, or asleep as it said: a share."
    )
    lost_minutes = LostMinutesSerializer()
    incidents = IncidentFiguresSerializer()
    commands = CommandFiguresSerializer()


class ReportSerializer(serializers.Serializer[Any]):
    """The SLA report."""

    results = ReportLineSerializer(many=True)


class SlaReportView(TenantScopedMixin, APIView):
    """The SLA report: availability, incidents and commands of each site."""

    content_negotiation_class = FileNegotiation

    @extend_schema(
        operation_id="reports_sla",
        parameters=[
            OpenApiParameter("from", datetime, description="30 days ago by default."),
            OpenApiParameter("to", datetime, description="Now by default."),
            OpenApiParameter("site", str, description="Only this site."),
            OpenApiParameter("format", str, enum=[JSON, CSV], default=JSON),
        ],
        responses={
            (200, "application/json"): ReportSerializer,
            (200, "text/csv"): OpenApiTypes.STR,
        },
    )
    def get(self, request: Request) -> HttpResponseBase:
        """Return a line for each site; the future does not count."""
        asked = request.query_params
        if (name := asked.get("format", JSON)) not in (JSON, CSV):
            raise BadInput(format=f"One of {JSON}, {CSV}.")
        since, until = read_span(asked)
        site = asked.get("site")
        if site is not None:
            get_site(tenants=self.tenants, slug=site)
        lines = get_sla_report(
            tenants=self.tenants, site=site, since=since, until=until
        )
        if name == CSV:
            return csv_response(lines)
        return Response({"results": ReportLineSerializer(lines, many=True).data})


def read_span(asked: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """Return the time that is asked for, until now at most; raises BadInput."""
    now = timezone.now()
    found: dict[str, datetime] = {}
    for name in ("from", "to"):
        if name in asked and (at := read_instant(asked[name])) is None:
            raise BadInput(errors=[{"field": name, "message": NOT_AN_INSTANT}])
        elif name in asked:
            found[name] = at  # type: ignore[assignment]
    until = min(found.get("to", now), now)
    since = found.get("from", until - USUAL)
    if since >= until:
        message = "It must be before the end, and before now."
        raise BadInput(errors=[{"field": "from", "message": message}])
    if until - since > LONGEST:
        message = f"At most {LONGEST.days} days at a time."
        raise BadInput(errors=[{"field": "from", "message": message}])
    return since, until
