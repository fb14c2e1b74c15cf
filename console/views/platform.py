"""The platform page: how well the platform itself does; for superusers."""

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
from console.presenters.labels import reason_in_words
from console.presenters.platform_status import get_trust
from console.scope import ConsoleRequest, page
from fleet.selectors.lag import count_outbox, get_index_state
from registry.permissions import is_platform_admin
from state.selectors.adapter_liveness import (
    BLIND_AFTER,
    ingest_figures,
    list_slots,
)
from state.selectors.device import latest_dead_letters_across_tenants
from state.selectors.platform import count_risk_marks, dead_letter_figures

LETTERS = 25


@conditional_page
@page
def platform(request: ConsoleRequest) -> HttpResponse:
    """Ingest, slots, index, queues, adapters, dead letters; polled by itself."""
    if not is_platform_admin(request.user):
        raise PermissionDenied("This page is for those who run the platform.")
    template = "_platform.html" if request.htmx else "page.html"
    return render(request, f"console/platform/{template}", _context())


def _context() -> dict[str, Any]:
    now = timezone.now()
    dead = dead_letter_figures()
    return {
        "trust": get_trust(),
        "ingest": ingest_figures(now),
        "slots": [
            {"row": slot, "is_read": now - slot.caught_up_at <= BLIND_AFTER}
            for slot in list_slots()
        ],
        "index": get_index_state(),
        "queues": {
            name.removeprefix("commands_"): depth
            for name, depth in queue_depths_across_tenants().items()
        },
        "marks": {
            "changes to index": count_outbox(),
            "risks to judge": count_risk_marks(),
        },
        "adapters": adapter_latencies(now=now),
        "dead_total": dead["total"],
        "dead_reasons": [
            {"code": code, "words": reason_in_words(code), "n": n}
            for code, n in sorted(dead["by_reason"].items(), key=lambda row: -row[1])
        ],
        "letters": latest_dead_letters_across_tenants(limit=LETTERS),
    }


@conditional_page
@page
def trust(request: ConsoleRequest) -> HttpResponse:
    """The strip as it stands; 304 while nothing changed."""
    return render(request, "console/_parts/_trust.html", {"trust": get_trust()})
