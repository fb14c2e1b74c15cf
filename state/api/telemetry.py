"""REST: the history of a metric."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from iotplatform.common.instants import NOT_AN_INSTANT, read_instant
from iotplatform.common.problems import BadInput
from registry.api.base import TenantScopedMixin
from registry.selectors.devices import get_device
from state.api.serializers import MetricHistorySerializer
from state.choices import RollupStep
from state.selectors.metric_history import get_metric_history

STEPS = {str(step.value): step.value for step in RollupStep}
USUAL_RANGE = timedelta(hours=24)
LONGEST_NAME = 64


class TelemetryView(TenantScopedMixin, APIView):
    """The history of a metric."""

    @extend_schema(
        parameters=[
            OpenApiParameter("metric", str, required=True),
            OpenApiParameter(
                "from", datetime, description="Default: a day before `to`."
            ),
            OpenApiParameter("to", datetime, description="Default: now."),
            OpenApiParameter(
                "step",
                str,
                enum=[*STEPS, "auto"],
                description="Seconds per bucket; `auto` chooses one that fits a chart.",
            ),
        ],
        responses=MetricHistorySerializer,
    )
    def get(self, request: Request, uid: str) -> Response:
        """Return the buckets of a range; empty buckets are left out."""
        device = get_device(tenants=self.tenants, uid=uid)
        params = request.query_params
        given = _instants(params, "from", "to")
        to_at = given["to"] or timezone.now()
        from_at = given["from"] or to_at - USUAL_RANGE
        found = get_metric_history(
            device,
            metric=_metric(params),
            from_at=from_at,
            to_at=to_at,
            step=_step(params),
        )
        return Response(MetricHistorySerializer(found).data)


def _metric(params: Any) -> str:
    name = str(params.get("metric") or "")
    if not name:
        raise BadInput(metric="Name the metric, as in ?metric=temperature.")
    if len(name) > LONGEST_NAME or "\0" in name:
        raise BadInput(metric=f"A metric has a name of up to {LONGEST_NAME} letters.")
    return name


def _step(params: Any) -> int | None:
    text = params.get("step", "auto")
    if text == "auto":
        return None
    if text not in STEPS:
        raise BadInput(step=f"Use one of {', '.join(STEPS)} or auto.")
    return STEPS[text]


def _instants(params: Any, *names: str) -> dict[str, datetime | None]:
    """Return what is given; the refusal names every one that cannot be read."""
    given = {name: params.get(name) for name in names}
    found = {name: text and read_instant(text) for name, text in given.items()}
    wrong = [name for name in names if given[name] and found[name] is None]
    if wrong:
        raise BadInput(
            errors=[{"field": name, "message": NOT_AN_INSTANT} for name in wrong]
        )
    return {name: at or None for name, at in found.items()}
