"""Views for monitoring (health, readiness, metrics), and the favicon."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.templatetags.static import static
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from iotplatform.monitoring.metrics import PlatformCollector
from iotplatform.monitoring.readiness import OK, check_parts


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """Answer 200 while the process runs; check nothing else."""
    return JsonResponse({"status": OK})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Answer 200 if every part works, else 503, with the state of each part."""
    parts = check_parts()
    is_ready = all(state == OK for state in parts.values())
    body = {"status": "ready" if is_ready else "not ready", "parts": parts}
    return JsonResponse(body, status=200 if is_ready else 503)


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer with the platform's figures in the format of Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(PlatformCollector())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """Redirect to our icon; browsers ask here for pages of libraries, without one."""
    return redirect(static("console/favicon.svg"))
