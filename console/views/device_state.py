"""Parts of the device page: the metric charts, and reports of people on site."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from console.forms.commands import FeedbackForm
from console.scope import ConsoleRequest, page
from console.views.device import find, metric_charts_context, redraw
from registry.permissions import Right
from state.choices import Observation
from state.services.feedback import record_feedback


@page
def metric_charts(request: ConsoleRequest, uid: str) -> HttpResponse:
    context = metric_charts_context(find(request, uid), request.GET.get("window", ""))
    return render(request, "console/device/_metric_charts.html", context)


@require_POST
@page
def feedback(request: ConsoleRequest, uid: str) -> HttpResponse:
    found = find(request, uid)
    request.scope.require(Right.OPERATE, found.tenant_id)
    form = FeedbackForm(request.POST)
    if not form.is_valid():
        return redraw(request, found, feedback_form=form, feedback_open=True)
    given = record_feedback(
        device=found,
        observation=Observation(form.cleaned_data["observation"]),
        note=form.cleaned_data["note"],
        by=request.user,
        at=timezone.now(),
    )
    label = given.get_observation_display()
    messages.success(request, f"Report for {uid} saved: “{label}”.")
    return redirect("console:device", uid)
