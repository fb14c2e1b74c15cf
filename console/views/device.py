"""The device page: who it is, its condition and why, what was sent, one story."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import conditional_page, require_POST

from commands.exceptions import (
    CommandRefused,
    IdempotencyKeyReused,
    InvalidCommand,
)
from commands.selectors.commands import list_commands
from commands.services.commands import request_command
from commands.services.device_lifecycle import move_device
from console.forms.commands import (
    FeedbackForm,
    chosen_form,
    command_choices,
)
from console.presenters.device_timeline import get_story
from console.presenters.diagnosis import fault
from console.presenters.labels import ago, cause_in_words, moment_of
from console.presenters.metric_charts import courses_of
from console.scope import ConsoleRequest, page
from iotplatform.common.ids import new_public_id
from iotplatform.common.problems import Problem
from registry.choices import MOVES, TAKES_COMMANDS, Lifecycle
from registry.permissions import Right
from registry.selectors.devices import get_device
from registry.selectors.places import path_of
from state.selectors.device import get_device_facts, get_state, latest_telemetry
from state.selectors.maintenance import windows_in_force

if TYPE_CHECKING:
    from registry.models import Device

RECENT = 6


@page
def device(request: ConsoleRequest, uid: str) -> HttpResponse:
    """The whole page."""
    found = find(request, uid)
    return render(request, "console/device/page.html", _context(request, found))


@conditional_page
@page
def now(request: ConsoleRequest, uid: str) -> HttpResponse:
    """What may change while one looks; 304 while nothing did."""
    context = _now(find(request, uid))
    return render(request, "console/device/_now.html", context)


@page
def story(request: ConsoleRequest, uid: str) -> HttpResponse:
    """Earlier entries of the timeline, below those that stand already."""
    context = _story(find(request, uid), request.GET.get("before"))
    return render(request, "console/device/_story.html", context)


@require_POST
@page
def send(request: ConsoleRequest, uid: str) -> HttpResponse:
    """Send one command; what is refused stands beside the form, with what was typed."""
    found = find(request, uid)
    request.scope.require(Right.OPERATE, found.tenant_id)
    name = request.POST.get("command", "")
    form = chosen_form(name, request.POST)
    if form is None or not form.is_valid():
        error = "Choose a command." if form is None else ""
        return again(request, found, send_error=error, chosen=name)
    try:
        command, _ = request_command(
            device=found,
            name=name,
            params=form.params(),
            policy=None,
            idempotency_key=f"console-{request.POST.get('key', '')}",
            actor=request.user,
        )
    except InvalidCommand as error:
        said = "; ".join(row["message"] for row in error.errors) or error.detail
        return again(request, found, send_error=said, chosen=name)
    except (CommandRefused, IdempotencyKeyReused) as error:
        return again(request, found, send_error=error.detail, chosen=name, status=409)
    messages.success(request, f"{name} is on its way to {uid}.")
    return redirect("console:command", command.public_id)


@require_POST
@page
def move(request: ConsoleRequest, uid: str) -> HttpResponse:
    """Move the device's lifecycle."""
    found = find(request, uid)
    request.scope.require(Right.MANAGE, found.tenant_id)
    to, successor = request.POST.get("to", ""), request.POST.get("replaced_by", "")
    try:
        replaced_by = find(request, successor.strip()) if successor.strip() else None
        move_device(
            device=found,
            to=to,
            reason=request.POST.get("reason", "").strip(),
            replaced_by=replaced_by,
            actor=request.user,
        )
    except Problem as error:
        said = "; ".join(row["message"] for row in error.errors) or error.detail
        status = max(error.status, 409)
        return again(request, found, status=status, move_error=said, move_open=True)
    label = Lifecycle(to).label
    messages.success(request, f"{uid} is {label} now.")
    return redirect("console:device", uid)


def find(request: ConsoleRequest, uid: str) -> Device:
    """Return a device of the person's tenants; raises NotFound."""
    return get_device(tenants=request.scope.all_tenants, uid=uid)


def again(
    request: ConsoleRequest,
    found: Device,
    *,
    send_error: str = "",
    chosen: str = "",
    status: int = 422,
    **extra: Any,
) -> HttpResponse:
    """Draw the whole page again, with what was refused beside its form."""
    context = _context(request, found) | extra
    if chosen or send_error:
        choices = command_choices(chosen, request.POST)
        context |= {"send_error": send_error, "choices": choices, "send_open": True}
        context["send_key"] = request.POST.get("key", "")
    return render(request, "console/device/page.html", context, status=status)


def _context(request: ConsoleRequest, found: Device) -> dict[str, Any]:
    may_operate = request.scope.may(Right.OPERATE, found.tenant_id)
    may_manage = request.scope.may(Right.MANAGE, found.tenant_id)
    why_not = ""
    if found.lifecycle not in TAKES_COMMANDS:
        why_not = f"It is {found.get_lifecycle_display()}: it takes no commands."
    elif not found.product.takes_commands:
        why_not = f"The product {found.product.slug} takes no commands."
    moves = sorted(MOVES[Lifecycle(found.lifecycle)]) if may_manage else []
    return {
        **_now(found),
        **_story(found, request.GET.get("before")),
        **course_context(found, request.GET.get("window", "")),
        "feedback_form": FeedbackForm() if may_operate else None,
        "may_operate": may_operate,
        "may_audit": request.scope.may(Right.AUDIT, found.tenant_id),
        "sends": may_operate and not why_not,
        "sends_why_not": why_not if may_operate else "",
        "send_key": str(new_public_id()),
        "choices": command_choices("identify"),
        "moves": [(value.value, Lifecycle(value).label) for value in moves],
    }


def _now(found: Device) -> dict[str, Any]:
    """Who, condition, twin and what was sent."""
    state = get_state(found)
    presence, twin = state["presence"], state["twin"]
    said = [cause_in_words(presence.get("cause"))]
    if presence.get("since"):
        said.append(f"{presence['connectivity']} for {ago(presence['since'])}")
    facts = get_device_facts(found)
    if facts.disconnects_72h:
        many = "" if facts.disconnects_72h == 1 else "s"
        said.append(f"{facts.disconnects_72h} abnormal disconnect{many} in 72 h")
    if facts.clock_skew:
        said.append("its clock is wrong")
    sent = list_commands(tenants=[found.tenant]).filter(device=found)[:RECENT]
    return {
        "device": found,
        "state": state,
        "condition": " · ".join(part for part in said if part),
        "place": _place(found),
        "other_units": _other_units(found),
        "twin_rows": _twin_rows(twin),
        "reported_at": facts.reported_at,
        "telemetry": [
            {"name": name, "path": f"telemetry.{name}", **row}
            for name, row in sorted(state["telemetry"].items())
        ],
        "alarms": [row | {"path": f"alarms.{row['id']}"} for row in state["alarms"]],
        "known": state["known_by"],
        "fault": fault(state["diagnosis"]),
        "maintenance": windows_in_force(found, now=timezone.now()),
        "sent": list(sent),
    }


def course_context(found: Device, window: str) -> dict[str, Any]:
    """The charts of what the device measures."""
    measured = sorted(latest_telemetry(found))
    courses = courses_of(found, measured, window=window, now=timezone.now())
    return {"device": found, **courses}


def _place(found: Device) -> list[tuple[str, str]]:
    """The registry's facts, without those that are empty."""
    region = f", {found.site.region}" if found.site.region else ""
    facts = [
        ("Product", f"{found.product.slug}, {found.product.name}"),
        ("Site", f"{found.site.slug}{region}"),
        ("Space", path_of(found.space) if found.space else ""),
        ("Hardware", _built(found)),
        ("Project", found.project.slug if found.project else ""),
        ("Tenant", found.tenant.slug),
        ("Lifecycle", found.get_lifecycle_display()),
        ("Kind", f"{found.get_kind_display()} over {found.get_adapter_display()}"),
        ("Serial", found.serial),
    ]
    return [(name, value) for name, value in facts if value]


def _other_units(found: Device) -> list[tuple[str, str]]:
    """The uids of its gateway and of the other units of a replacement."""
    others = [
        ("Gateway", found.gateway.uid if found.gateway else ""),
        ("In the place of", getattr(found, "replaces_uid", None) or ""),
        ("Replaced by", getattr(found, "replaced_by_uid", None) or ""),
    ]
    return [(name, uid) for name, uid in others if uid]


def _built(found: Device) -> str:
    """Revision and batch."""
    parts = [found.hardware_revision.slug] if found.hardware_revision else []
    parts += [f"batch {found.batch.slug}"] if found.batch else []
    return ", ".join(parts)


def _twin_rows(twin: dict[str, Any]) -> list[dict[str, Any]]:
    """Desired and reported side by side, the top keys, differing ones first."""
    desired, reported, delta = twin["desired"], twin["reported"], twin["delta"]
    differing = {key.split(".")[0] for key in delta}
    return [
        {
            "key": key,
            "desired": desired.get(key),
            "is_desired": key in desired,
            "reported": reported.get(key),
            "is_reported": key in reported,
            "differs": key in differing,
        }
        for key in sorted({*desired, *reported}, key=lambda k: (k not in differing, k))
    ]


def _story(found: Device, before: str | None) -> dict[str, Any]:
    instant = moment_of(before) or timezone.now()
    day = timezone.localtime(instant).date() if before else None
    told = get_story(found, before=instant, day=day)
    context: dict[str, Any] = {"device": found, "entries": told.lines}
    if told.older_than:
        older = _query(told.older_than)
        context["more_url"] = (
            f"{reverse('console:device-story', args=[found.uid])}{older}"
        )
        context["more_page_url"] = f"{older}#story"
    return context


def _query(before: datetime) -> str:
    return f"?{urlencode({'before': before.isoformat()})}"
