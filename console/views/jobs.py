"""The list of jobs, one job with its live progress, and what a person may do to it."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.core.exceptions import BadRequest
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import conditional_page, require_POST

from commands.choices import FailureClass, JobStatus
from commands.exceptions import InvalidCommand, TransitionRefused
from commands.lifecycle import JOB_FINAL
from commands.selectors.job_tallies import tally_jobs, tally_waves
from commands.selectors.jobs import (
    get_job,
    list_job_events,
    list_jobs,
    list_targets,
    list_waves,
)
from commands.services.jobs import cancel_job, pause_job, resume_job, start_job
from console.paging import page_of
from console.presenters import job_progress as drawing
from console.presenters.delivery_track import FAILURE_WORDS
from console.presenters.labels import clock, duration
from console.scope import ConsoleRequest, page
from registry.permissions import Right

J = JobStatus
MEMBERS = 50
UNDER_WAY = (J.SCHEDULED, J.RUNNING)
WAITING = (J.DRAFT, J.PAUSED, J.STOPPED)
FILTERS = {
    "": ("All", None),
    "under-way": ("Under way", UNDER_WAY),
    "waiting": ("Waiting for a person", WAITING),
    "over": ("Over", tuple(JOB_FINAL)),
}
ACTIONS = {
    "start": start_job,
    "pause": pause_job,
    "resume": resume_job,
    "cancel": cancel_job,
}


@page
def jobs(request: ConsoleRequest) -> HttpResponse:
    """Jobs, the newest first."""
    chosen = request.GET.get("show", "")
    rows = list_jobs(tenants=request.scope.tenants)
    waiting = rows.filter(status__in=WAITING).count()
    _, statuses = FILTERS.get(chosen, FILTERS[""])
    found = page_of(request, rows.filter(status__in=statuses) if statuses else rows)
    tallies = tally_jobs([job.pk for job in found.rows]) if found.rows else {}
    for job in found.rows:
        counts = drawing.counts_of(tallies.get(job.pk, {}).values())
        members = job.cohort.target_count
        job.members = members
        job.parts = drawing.bar(counts, members - counts.get("left-out", 0))
        job.progress_words = drawing.progress_words(counts, members)
    return render(
        request,
        "console/jobs/list.html",
        {
            "headline": _headline(waiting),
            "jobs": found.rows,
            "next_url": found.next_url,
            "first_url": found.first_url,
            "status": FILTERS.get(chosen, FILTERS[""])[0].lower(),
            "is_filtered": bool(statuses),
            "filters": [
                {"label": label, "url": f"?show={name}", "is_on": name == chosen}
                for name, (label, _) in FILTERS.items()
            ],
            "may_operate": _operates_somewhere(request),
        },
    )


@page
def job(request: ConsoleRequest, job_id: UUID) -> HttpResponse:
    """One job: waves, counts, failure classes, members."""
    return render(request, "console/jobs/page.html", _context(request, job_id))


@conditional_page
@page
def progress(request: ConsoleRequest, job_id: UUID) -> HttpResponse:
    """What changes of it, as the page polls it; 304 while nothing changed."""
    return render(request, "console/jobs/_progress.html", _context(request, job_id))


@require_POST
@page
def act(request: ConsoleRequest, job_id: UUID, action: str) -> HttpResponse:
    """Start, pause, resume with a reason, or cancel; then the job as it now stands."""
    if action not in ACTIONS:
        raise BadRequest(f"There is no action {action}.")
    row = get_job(tenants=request.scope.all_tenants, public_id=job_id)
    request.scope.require(Right.OPERATE, row.tenant_id)
    notice, status = "", 200
    reason = request.POST.get("reason", "").strip()[:500]
    try:
        ACTIONS[action](job=row, actor=request.user, reason=reason)
    except TransitionRefused as error:
        notice, status = error.detail, 409
    except InvalidCommand as error:
        notice, status = error.errors[0]["message"], 422
    if not request.htmx and not notice:
        return redirect("console:job", job_id)
    context = _context(request, job_id) | {"notice": notice}
    template = "_progress.html" if request.htmx else "page.html"
    return render(request, f"console/jobs/{template}", context, status=status)


def _context(request: ConsoleRequest, job_id: UUID) -> dict[str, Any]:
    row = get_job(tenants=request.scope.all_tenants, public_id=job_id)
    waves, tallies = list(list_waves(row)), tally_waves(row.pk)
    counts = drawing.counts_of(tallies.values())
    return {
        "job": row,
        "words": drawing.job_words(row, waves, counts),
        "is_over": row.status in JOB_FINAL,
        "allowed": _allowed(row.status),
        "waves": drawing.wave_rows(waves, tallies, row),
        "counts": drawing.count_rows(counts),
        "failures": drawing.failure_rows(tallies.values(), row.policy),
        "may_operate": request.scope.may(Right.OPERATE, row.tenant_id),
        "rollout": _rollout_rows(row),
        "events": list_job_events(row),
        "actions": list(ACTIONS),
        **_members(request, row),
    }


def _allowed(status: str) -> dict[str, bool]:
    """Which actions the job's status has."""
    return {
        "start": status == J.DRAFT,
        "pause": status in UNDER_WAY,
        "resume": status in (J.PAUSED, J.STOPPED),
        "cancel": status not in JOB_FINAL,
    }


def _members(request: ConsoleRequest, row: Any) -> dict[str, Any]:
    """One page of members, those of a count or a failure class if one is open.

    In the order of the key: a job may have a million members, and is polled.
    """
    shown, failure = request.GET.get("show", ""), request.GET.get("failure", "")
    title, state = "", {}
    rows = list_targets(row)
    if shown in drawing.COUNTS:
        label, _, condition = drawing.COUNTS[shown]
        rows, title, state = rows.filter(condition), label, {"show": shown}
    elif failure in FailureClass.values:
        rows = rows.filter(command__failure_class=failure)
        title, state = FAILURE_WORDS[FailureClass(failure)], {"failure": failure}
    after = request.GET.get("after", "")
    if after:
        last = list_targets(row).filter(device__uid=after).first()
        rows = rows.filter(pk__gt=last.pk) if last else rows.none()
    found = list(rows[: MEMBERS + 1])
    next_url = None
    if len(found) > MEMBERS:
        following = {"after": found[MEMBERS - 1].device.uid}
        next_url = f"?{urlencode(state | following)}#members"
    return {
        "members": found[:MEMBERS],
        "members_title": f"Members: {title}" if title else "Members",
        "members_filtered": bool(title),
        "next_url": next_url,
        "first_url": f"?{urlencode(state)}#members" if after else None,
    }


def _rollout_rows(row: Any) -> list[tuple[str, str]]:
    """The rollout in words."""
    said = row.rollout
    canary = said.get("canary")
    rows = [("Canary", "none" if not canary else _size(canary))]
    if said.get("wave_size"):
        rows.append(("Waves", f"of {said['wave_size']:,} devices"))
    elif said.get("waves"):
        rows.append(("Waves", ", ".join(_size(share) for share in said["waves"])))
    if said.get("rate_per_minute"):
        rows.append(("At most", f"{said['rate_per_minute']:,} a minute"))
    rows += [
        ("Between waves", duration(said.get("soak_seconds"))),
        ("Stops above", f"{100 * said['failure_threshold']:.0f} % failed"),
        ("Pauses below", f"{100 * said['success_threshold']:.0f} % succeeded"),
        ("Judged after", f"{said['min_ended']:,} ended, or the whole wave"),
        ("Offline", "wait" if said["offline"] == "wait" else "left out"),
    ]
    if row.deadline:
        rows.append(("Deadline", clock(row.deadline)))
    return rows


def _size(value: float) -> str:
    return f"{100 * value:.0f} %" if value < 1 else f"{value:,.0f} devices"


def _headline(waiting: int) -> str:
    if not waiting:
        return "No job waits for a person"
    if waiting == 1:
        return "1 job waits for a person"
    return f"{waiting:,} jobs wait for a person"


def _operates_somewhere(request: ConsoleRequest) -> bool:
    return any(
        request.scope.may(Right.OPERATE, tenant.pk) for tenant in request.scope.tenants
    )
