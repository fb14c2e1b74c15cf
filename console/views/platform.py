"""The platform page, for superusers: health of ingest, index, queues, adapters."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import conditional_page

from commands.selectors.delivery_stats import (
    adapter_latencies,
    queue_depths_across_tenants,
)
from console.presenters.labels import dead_letter_label
from console.presenters.platform_status import (
    get_platform_status,
    platform_status_of,
)
from console.scope import ConsoleRequest, page
from fleet.selectors.lag import count_marks, get_index_status_and_slots
from registry.permissions import is_platform_admin
from state.selectors.adapter_liveness import BLIND_AFTER, ingest_figures
from state.selectors.device import latest_dead_letters_across_tenants
from state.selectors.platform import dead_letter_figures

REJECTED_SHOWN = 25


@conditional_page
@page
def platform(request: ConsoleRequest) -> HttpResponse:
    """Ingest, slots, index, queues, adapters, rejected messages; the page polls it."""
    if not is_platform_admin(request.user):
        raise PermissionDenied("This page is for platform administrators.")
    template = "_platform.html" if request.htmx else "page.html"
    return render(request, f"console/platform/{template}", _context(request))


def _context(request: ConsoleRequest) -> dict[str, Any]:
    now = timezone.now()
    dead, marks = dead_letter_figures(), count_marks()
    index, slots = get_index_status_and_slots()
    # The frame of the page shows it, too.
    request.platform_status = platform_status_of(index, slots)
    return {
        "platform_status": request.platform_status,
        "ingest": ingest_figures(now, slots),
        "slots": [
            {"row": slot, "is_read": now - slot.caught_up_at <= BLIND_AFTER}
            for slot in slots
        ],
        "index": index,
        "queues": {
            name.removeprefix("commands_"): depth
            for name, depth in queue_depths_across_tenants().items()
        },
        "marks": {
            "changes to index": marks["index_outbox"],
            "risk scores to update": marks["risk_marks"],
        },
        "adapters": adapter_latencies(now=now),
        "dead_total": dead["total"],
        "dead_reasons": [
            {"code": code, "label": dead_letter_label(code), "n": n}
            for code, n in sorted(dead["by_reason"].items(), key=lambda row: -row[1])
        ],
        "letters": latest_dead_letters_across_tenants(limit=REJECTED_SHOWN),
    }


@conditional_page
@page
def status(request: ConsoleRequest) -> HttpResponse:
    """The platform status of the top bar; 304 while nothing changed."""
    context = {"platform_status": get_platform_status()}
    return render(request, "console/_parts/_platform_status.html", context)
