"""What machines ask the web process about itself, and browsers by themselves."""

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
    """The process lives; nothing else is asked."""
    return JsonResponse({"status": OK})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Every part is there: 200, else 503; each part says its own."""
    parts = check_parts()
    is_ready = all(state == OK for state in parts.values())
    body = {"status": "ready" if is_ready else "not ready", "parts": parts}
    return JsonResponse(body, status=200 if is_ready else 503)


@never_cache
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """The platform's figures for Prometheus."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(PlatformCollector())
    return HttpResponse(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """Lead to our icon: pages of libraries name none, and browsers ask here then."""
    return redirect(static("console/favicon.svg"))
