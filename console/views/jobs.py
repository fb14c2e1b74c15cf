"""The list of jobs, one job with its live progress, and the actions on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.core.exceptions import BadRequest
from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import conditional_page, require_POST

from commands.choices import FailureClass, JobStatus, WaveStatus
from commands.exceptions import InvalidCommand, TransitionRefused
from commands.lifecycle import JOB_FINAL
from commands.selectors.job_health import HEALTH
from commands.selectors.job_member_pages import list_exceptions_first
from commands.selectors.job_tallies import tally_jobs, tally_waves
from commands.selectors.job_waits import (
    WAITS,
    describe_closed_windows,
    describe_systems,
    waits_of,
)
from commands.selectors.jobs import (
    get_job,
    list_job_events,
    list_jobs,
    list_targets,
    list_waves,
)
from commands.services.job_approvals import approve_job
from commands.services.job_lift import lift_hold
from commands.services.job_rerun import MAY_RETRY, retry_failed
from commands.services.job_rollback import roll_back_job
from commands.services.job_waiting import skip_waiting
from commands.services.jobs import cancel_job, pause_job, resume_job
from console.forms.rollout import OFFLINE, combination_label, window_label
from console.paging import page_of
from console.presenters import job_progress as drawing
from console.presenters.delivery_track import FAILURE_LABELS
from console.presenters.job_health import job_health
from console.presenters.job_summary import job_summary, jobs_headline
from console.presenters.labels import duration, time_element
from console.scope import ConsoleRequest, page
from fleet.services.job_starts import start_job
from iotplatform.common.counts import counted
from iotplatform.common.problems import Forbidden
from registry.permissions import Right

J = JobStatus
MEMBERS_PER_PAGE = 50
IN_PROGRESS = (J.SCHEDULED, J.RUNNING)
WAITING = (J.DRAFT, J.AWAITING_APPROVAL, J.PAUSED, J.STOPPED)
FILTERS = {
    "": ("All", None),
    "under-way": ("In progress", IN_PROGRESS),
    "waiting": ("Waiting for a person", WAITING),
    "over": ("Finished", tuple(JOB_FINAL)),
}
ACTIONS: dict[str, Callable[..., Any]] = {
    "approve": approve_job,
    "start": start_job,
    "pause": pause_job,
    "resume": resume_job,
    "skip-waiting": skip_waiting,
    "retry": retry_failed,
    "cancel": cancel_job,
    "rollback": roll_back_job,
    "lift": lift_hold,
}


@page
def jobs(request: ConsoleRequest) -> HttpResponse:
    chosen = request.GET.get("show", "")
    rows = list_jobs(tenants=request.scope.tenants)
    numbers = rows.order_by().aggregate(
        waiting=Count("pk", filter=Q(status__in=WAITING)),
        underway=Count("pk", filter=Q(status__in=IN_PROGRESS)),
        every=Count("pk"),
    )
    _, statuses = FILTERS.get(chosen, FILTERS[""])
    found = page_of(request, rows.filter(status__in=statuses) if statuses else rows)
    tallies = tally_jobs([job.pk for job in found.rows]) if found.rows else {}
    for job in found.rows:
        counts = drawing.counts_of(tallies.get(job.pk, {}).values())
        members = job.cohort.target_count
        job.members = members
        job.parts = drawing.bar(counts, members - counts.get("left-out", 0))
        job.progress_label = drawing.progress_label(counts, members)
    return render(
        request,
        "console/jobs/list.html",
        {
            "headline": jobs_headline(**numbers),
            "jobs": found.rows,
            "next_url": found.next_url,
            "first_url": found.first_url,
            "status": FILTERS.get(chosen, FILTERS[""])[0].lower(),
            "is_filtered": bool(statuses),
            "filters": [
                {"label": label, "url": f"?show={name}", "is_on": name == chosen}
                for name, (label, _) in FILTERS.items()
            ],
            "may_operate": _may_operate_anywhere(request),
        },
    )


@page
def job(request: ConsoleRequest, job_id: UUID) -> HttpResponse:
    return render(request, "console/jobs/page.html", _context(request, job_id))


@conditional_page
@page
def progress(request: ConsoleRequest, job_id: UUID) -> HttpResponse:
    """The part of the page that is polled; 304 while nothing changed."""
    return render(request, "console/jobs/_progress.html", _context(request, job_id))


@require_POST
@page
def act(request: ConsoleRequest, job_id: UUID, action: str) -> HttpResponse:
    """Do what a person asks of the job, with their reason; then draw it again."""
    if action not in ACTIONS:
        raise BadRequest(f"There is no action {action}.")
    row = get_job(tenants=request.scope.all_tenants, public_id=job_id)
    right = Right.APPROVE if action == "approve" else Right.OPERATE
    request.scope.require(right, row.tenant_id)
    notice, status = "", 200
    reason = request.POST.get("reason", "").strip()[:500]
    try:
        which = {"failure_class": _failure(request)} if action == "retry" else {}
        ACTIONS[action](job=row, actor=request.user, reason=reason, **which)
    except (TransitionRefused, Forbidden) as error:
        notice, status = error.detail, 409
    except InvalidCommand as error:
        notice, status = error.errors[0]["message"], 422
    if not request.htmx and not notice:
        return redirect("console:job", job_id)
    context = _context(request, job_id) | {"notice": notice}
    template = "_progress.html" if request.htmx else "page.html"
    return render(request, f"console/jobs/{template}", context, status=status)


def _context(request: ConsoleRequest, job_id: UUID) -> dict[str, Any]:
    tenants = request.scope.all_tenants
    row = get_job(tenants=tenants, public_id=job_id, related=HEALTH, **WAITS)
    waves, tallies = list(list_waves(row)), tally_waves(row.pk)
    counts = drawing.counts_of(tallies.values())
    return {
        "job": row,
        "health": job_health(row),
        "summary": job_summary(row, waves, counts, waits_of(row)),
        "held_back": _held_back(row) if row.status == J.RUNNING else [],
        "is_over": row.status in JOB_FINAL,
        "allowed": _allowed(row.status)
        | {
            "approve": _may_approve(request, row),
            "skip": _silent(row, waves, tallies),
        },
        "waves": drawing.wave_rows(waves, tallies, row),
        "counts": drawing.count_rows(counts),
        "failures": drawing.failure_rows(tallies.values(), row.policy),
        "is_author": row.created_by_id == request.user.pk,
        "may_operate": request.scope.may(Right.OPERATE, row.tenant_id),
        "rollout": _rollout_rows(row),
        "events": list_job_events(row),
        "actions": list(ACTIONS),
        **_members(request, row),
    }


def _held_back(row: Any) -> list[str]:
    """Say which members wait for a window, or for the other half of their system."""
    windows = describe_closed_windows([row], timezone.now())
    return [*windows.values(), *describe_systems([row]).values()]


def _failure(request: ConsoleRequest) -> FailureClass:
    chosen = request.POST.get("failure_class", "")
    if chosen not in FailureClass.values:
        raise BadRequest(f"There is no failure class {chosen}.")
    return FailureClass(chosen)


def _allowed(status: str) -> dict[str, bool]:
    """The actions that the status of the job allows."""
    return {
        "start": status == J.DRAFT,
        "pause": status in IN_PROGRESS,
        "resume": status in (J.PAUSED, J.STOPPED),
        "retry": status in MAY_RETRY,
        "cancel": status not in JOB_FINAL,
    }


def _silent(row: Any, waves: list[Any], tallies: Any) -> int:
    """Return how many members without an answer keep a wave of the job waiting."""
    if row.status != J.RUNNING:
        return 0
    return sum(
        tallies[wave.number].open
        for wave in waves
        if wave.status == WaveStatus.RELEASED
    )


def _may_approve(request: ConsoleRequest, row: Any) -> bool:
    """Whether the job waits for an approval that this person may give."""
    return (
        row.status == J.AWAITING_APPROVAL
        and row.created_by_id != request.user.pk
        and request.scope.may(Right.APPROVE, row.tenant_id)
    )


def _members(request: ConsoleRequest, row: Any) -> dict[str, Any]:
    """One page of members: exceptions first, or those of the chosen count or class."""
    shown, failure = request.GET.get("show", ""), request.GET.get("failure", "")
    title, state = "", {}
    rows = list_targets(row)
    after = request.GET.get("after", "")
    last = rows.filter(device__uid=after).first() if after else None
    if shown in drawing.COUNTS:
        label, _, condition = drawing.COUNTS[shown]
        rows, title, state = rows.filter(condition), label, {"show": shown}
    elif failure in FailureClass.values:
        rows = rows.filter(command__failure_class=failure)
        title, state = FAILURE_LABELS[FailureClass(failure)], {"failure": failure}
    if after and last is None:
        found = []
    elif title:
        rows = rows.filter(pk__gt=last.pk) if last else rows
        found = list(rows[: MEMBERS_PER_PAGE + 1])
    else:
        found = list_exceptions_first(row, limit=MEMBERS_PER_PAGE + 1, after=last)
    next_url = None
    if len(found) > MEMBERS_PER_PAGE:
        following = {"after": found[MEMBERS_PER_PAGE - 1].device.uid}
        next_url = f"?{urlencode(state | following)}#members"
    return {
        "members": found[:MEMBERS_PER_PAGE],
        "members_title": f"Members: {title}" if title else "Members",
        "members_filtered": bool(title),
        "next_url": next_url,
        "first_url": f"?{urlencode(state)}#members" if after else None,
    }


def _rollout_rows(row: Any) -> list[tuple[str, str]]:
    rollout = row.rollout
    canary = rollout.get("canary")
    rows = [("Canary", "none" if not canary else _size(canary))]
    if rollout.get("wave_size"):
        rows.append(("Waves", f"of {counted(rollout['wave_size'], 'device')}"))
    elif rollout.get("waves"):
        rows.append(("Waves", ", ".join(_size(share) for share in rollout["waves"])))
    if rollout.get("rate_per_minute"):
        rows.append(("Rate", f"at most {rollout['rate_per_minute']:,} a minute"))
    rows += [
        ("Wait between waves", duration(rollout.get("soak_seconds"))),
        ("Stops above", f"{100 * rollout['failure_threshold']:.0f} % failed"),
        ("Pauses below", f"{100 * rollout['success_threshold']:.0f} % succeeded"),
        (
            "Results checked",
            f"after {counted(rollout['min_ended'], 'device')}, or the whole wave",
        ),
        ("Offline devices", OFFLINE[rollout["offline"]]),
    ]
    if rollout.get("window"):
        rows.append(("Window", window_label(rollout["window"])))
    if rollout.get("combinations"):
        label = combination_label(rollout["combinations"])
        rows.append(("Gateway with its children", label))
    if row.deadline:
        rows.append(("Deadline", time_element(row.deadline)))
    return rows


def _size(value: float) -> str:
    return f"{100 * value:.0f} %" if value < 1 else counted(round(value), "device")


def _may_operate_anywhere(request: ConsoleRequest) -> bool:
    return any(
        request.scope.may(Right.OPERATE, tenant.pk) for tenant in request.scope.tenants
    )
