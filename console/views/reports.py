"""The SLA report: availability and its causes, incidents and commands by site."""

from __future__ import annotations

from datetime import timedelta

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone

from console.presenters import sla_charts
from console.presenters.sla_figures import sla_of_days
from console.presenters.sla_file import csv_response
from console.scope import ConsoleRequest, page
from console.selectors.sla import list_policies
from console.selectors.sla_days import list_lost_by_day

# Value of the choice → its label, days with today.
SPANS = {"1": ("today", 1), "7": ("7 days", 7), "30": ("30 days", 30)}
USUAL = "7"
CHART_DAYS = 90
SHOWN = 50  # sites; the file has all


@page
def sla(request: ConsoleRequest) -> HttpResponse:
    """The report of the tenants in view, the lowest availability first."""
    chosen = request.GET.get("days", USUAL)
    chosen = chosen if chosen in SPANS else USUAL
    now, tenants = timezone.now(), request.scope.tenants
    days = SPANS[chosen][1]
    lines, since, as_of = sla_of_days(tenants=tenants, days=days, now=now)
    if request.GET.get("format") == "csv":
        return csv_response(lines)
    lines.sort(key=lambda line: (line.availability is None, line.availability or 0))
    first = timezone.localdate(now) - timedelta(days=CHART_DAYS - 1)
    context = {
        "headline": sla_charts.headline(lines),
        "lines": [sla_charts.show_line(line) for line in lines[:SHOWN]],
        "hidden": max(0, len(lines) - SHOWN),
        "causes": sla_charts.LABELS.values(),
        "by_cause": sla_charts.by_cause(lines),
        "chart": sla_charts.per_day(
            list_lost_by_day(tenants=tenants, first=first),
            first=first,
            count=CHART_DAYS + 1,  # where it is tomorrow already
        ),
        "since": since,
        "as_of": as_of,
        "spans": [
            {"label": label, "url": f"?days={name}", "is_here": name == chosen}
            for name, (label, _) in SPANS.items()
        ],
        "policies": list_policies(tenants=tenants),
        "csv_url": f"?days={chosen}&format=csv",
    }
    return render(request, "console/reports/sla.html", context)
