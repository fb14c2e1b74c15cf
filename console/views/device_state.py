"""The device page's doors to its state: what the field sees, and how metrics went."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from console.forms.commands import FeedbackForm
from console.scope import ConsoleRequest, page
from console.views.device import again, course_context, find
from registry.permissions import Right
from state.choices import Observation
from state.services.feedback import give_feedback


@page
def course(request: ConsoleRequest, uid: str) -> HttpResponse:
    """The charts of another window of time."""
    context = course_context(find(request, uid), request.GET.get("window", ""))
    return render(request, "console/device/_course.html", context)


@require_POST
@page
def feedback(request: ConsoleRequest, uid: str) -> HttpResponse:
    """Record what people at the device see."""
    found = find(request, uid)
    request.scope.require(Right.OPERATE, found.tenant_id)
    form = FeedbackForm(request.POST)
    if not form.is_valid():
        return again(request, found, feedback_form=form, feedback_open=True)
    given = give_feedback(
        device=found,
        observation=Observation(form.cleaned_data["observation"]),
        note=form.cleaned_data["note"],
        by=request.user,
        at=timezone.now(),
    )
    said = given.get_observation_display()
    messages.success(request, f"Noted: the field says of {uid} “{said}”.")
    return redirect("console:device", uid)
