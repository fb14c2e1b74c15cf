"""The device page: identity, condition and likely cause, commands, history."""

from __future__ import annotations

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
    TooManyPending,
)
from commands.selectors.commands import list_commands
from commands.selectors.definitions import list_definitions_of
from commands.selectors.files import list_files
from commands.services.commands import request_command
from commands.services.device_lifecycle import move_device
from console.forms.commands import FeedbackForm, MoveForm
from console.forms.params import DangerForm, chosen_form, command_choices
from console.presenters.device_timeline import get_device_timeline
from console.presenters.diagnosis import present_diagnosis
from console.presenters.gateway_children import present_children
from console.presenters.labels import cause_label, moment_of, since
from console.presenters.metric_charts import build_metric_charts
from console.scope import ConsoleRequest, page
from console.selectors.playbooks import list_playbook_names
from iotplatform.common.counts import counted
from iotplatform.common.ids import new_public_id
from iotplatform.common.problems import Problem
from registry.choices import CONNECTS, MOVES, TAKES_COMMANDS, Lifecycle
from registry.permissions import Right
from registry.selectors.devices import get_device
from registry.selectors.places import path_of
from registry.services.credentials import await_withdrawal
from state.selectors.device import get_state_and_facts, latest_telemetry
from state.selectors.maintenance import windows_in_force

if TYPE_CHECKING:
    from commands.definitions import Definition
    from registry.models import Device

RECENT_COMMANDS = 6
RECENT_FILES = 10


@page
def device(request: ConsoleRequest, uid: str) -> HttpResponse:
    found = find(request, uid)
    return render(request, "console/device/page.html", _context(request, found))


@conditional_page
@page
def now(request: ConsoleRequest, uid: str) -> HttpResponse:
    """The part of the page that is polled; 304 while nothing changed."""
    context = _now(find(request, uid))
    return render(request, "console/device/_now.html", context)


@page
def timeline(request: ConsoleRequest, uid: str) -> HttpResponse:
    """Earlier entries of the timeline, to append below the shown ones."""
    context = _timeline_context(find(request, uid), request.GET.get("before"))
    return render(request, "console/device/_timeline.html", context)


@require_POST
@page
def send(request: ConsoleRequest, uid: str) -> HttpResponse:
    """Send one command; a refusal is shown at the form, with the input kept."""
    found = find(request, uid)
    request.scope.require(Right.OPERATE, found.tenant_id)
    name = request.POST.get("command", "")
    known = _commands_of(found)
    form = chosen_form(known, name, request.POST)
    if form is None:
        return redraw(request, found, send_error="Choose a command.", chosen=name)
    if not (form.is_valid() & DangerForm(known[name], request.POST).is_valid()):
        return redraw(request, found, chosen=name)
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
        return redraw(request, found, chosen=name, refusal=error)
    except (CommandRefused, IdempotencyKeyReused, TooManyPending) as error:
        return redraw(request, found, chosen=name, refusal=error, status=409)
    waits = "waits for an approval" if command.is_unapproved else f"is queued for {uid}"
    messages.success(request, f"Command {name} {waits}.")
    return redirect("console:command", command.public_id)


@require_POST
@page
def move(request: ConsoleRequest, uid: str) -> HttpResponse:
    found = find(request, uid)
    request.scope.require(Right.MANAGE, found.tenant_id)
    form = MoveForm(found, request.POST)
    if not form.is_valid():
        return redraw(request, found, move_form=form, move_open=True)
    values = form.cleaned_data
    to, replaced_by = values["to"], None
    try:
        if values["replaced_by"]:
            replaced_by = find(request, values["replaced_by"])
        move_device(
            device=found,
            to=to,
            reason=values["reason"],
            replaced_by=replaced_by,
            actor=request.user,
        )
        if to not in CONNECTS:
            # The move is done, whether or not the broker follows in time.
            await_withdrawal(found)
    except Problem as error:
        form.refuse(error)
        status = max(error.status, 409)
        return redraw(request, found, status=status, move_form=form, move_open=True)
    label = Lifecycle(to).label
    messages.success(request, f"{uid} is now {label}.")
    return redirect("console:device", uid)


def find(request: ConsoleRequest, uid: str) -> Device:
    """Return a device in the person's tenants; raises NotFound."""
    return get_device(tenants=request.scope.all_tenants, uid=uid)


def _commands_of(found: Device) -> dict[str, Definition]:
    return list_definitions_of(found.tenant_id, [found.product_id])


def redraw(
    request: ConsoleRequest,
    found: Device,
    *,
    send_error: str = "",
    chosen: str = "",
    refusal: Problem | None = None,
    status: int = 422,
    **extra: Any,
) -> HttpResponse:
    """Draw the whole page again, with the error at its form."""
    context = _context(request, found) | extra
    if chosen or send_error:
        choices = command_choices(_commands_of(found), chosen, request.POST)
        if refusal is not None:
            own = next(row["form"] for row in choices if row["is_chosen"])
            own.refuse(refusal)
        context |= {"send_error": send_error, "choices": choices, "send_open": True}
        context["send_key"] = request.POST.get("key", "")
    return render(request, "console/device/page.html", context, status=status)


def _context(request: ConsoleRequest, found: Device) -> dict[str, Any]:
    may_operate = request.scope.may(Right.OPERATE, found.tenant_id)
    may_manage = request.scope.may(Right.MANAGE, found.tenant_id)
    why_not = ""
    if found.lifecycle not in TAKES_COMMANDS:
        why_not = (
            f"The device is {found.get_lifecycle_display()}. It takes no commands."
        )
    elif not found.product.takes_commands:
        why_not = f"The product {found.product.slug} takes no commands."
    may_move = may_manage and MOVES[Lifecycle(found.lifecycle)]
    shown = _now(found)
    return {
        **shown,
        **_timeline_context(found, request.GET.get("before")),
        **metric_charts_context(
            found, request.GET.get("window", ""), shown["state"]["telemetry"]
        ),
        "files": list(list_files(found)[:RECENT_FILES]),
        "feedback_form": FeedbackForm() if may_operate else None,
        **present_children(found),
        "may_operate": may_operate,
        "may_manage": may_manage,
        "playbooks": list_playbook_names(found.tenant) if may_operate else [],
        "may_audit": request.scope.may(Right.AUDIT, found.tenant_id),
        "sends": may_operate and not why_not,
        "sends_why_not": why_not if may_operate else "",
        "send_key": str(new_public_id()),
        "choices": command_choices(_commands_of(found), "identify"),
        "move_form": MoveForm(found) if may_move else None,
    }


def _now(found: Device) -> dict[str, Any]:
    """Identity, condition, twin and recent commands."""
    state, facts = get_state_and_facts(found)
    presence, twin = state["presence"], state["twin"]
    condition = [cause_label(presence.get("cause"))]
    if presence.get("cause") == "never_connected":
        condition = ["Registered, but no message has come yet"]
    elif presence.get("since"):
        condition.append(f"{presence['connectivity']} {since(presence['since'])}")
    if facts.disconnects_72h:
        times = counted(facts.disconnects_72h, "abnormal disconnect")
        condition.append(f"{times} in 72 h")
    if facts.clock_skew:
        condition.append("its clock is wrong")
    commands = list_commands(tenants=[found.tenant]).filter(device=found)[
        :RECENT_COMMANDS
    ]
    return {
        "device": found,
        "state": state,
        "condition": " · ".join(part for part in condition if part),
        "identity": _identity(found),
        "related_devices": _related_devices(found),
        "twin_rows": _twin_rows(twin),
        "reported_at": facts.reported_at,
        "telemetry": [
            {"name": name, "path": f"telemetry.{name}", **row}
            for name, row in sorted(state["telemetry"].items())
        ],
        "alarms": [row | {"path": f"alarms.{row['id']}"} for row in state["alarms"]],
        "known": state["known_by"],
        "diagnosis": present_diagnosis(state["diagnosis"]),
        "maintenance": windows_in_force(found, now=timezone.now()),
        "commands": list(commands),
    }


def metric_charts_context(
    found: Device, window: str, latest: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the charts of what it measures; ``latest`` is that, if it was read."""
    measured = sorted(latest_telemetry(found) if latest is None else latest)
    charts = build_metric_charts(found, measured, window=window, now=timezone.now())
    return {"device": found, **charts}


def _identity(found: Device) -> list[tuple[str, str]]:
    """Facts of the registry, without the empty ones."""
    region = f", {found.site.region}" if found.site.region else ""
    facts = [
        ("Product", f"{found.product.slug}, {found.product.name}"),
        ("Site", f"{found.site.slug}{region}"),
        ("Space", path_of(found.space) if found.space else ""),
        ("Hardware", _hardware(found)),
        ("Project", found.project.slug if found.project else ""),
        ("Tenant", found.tenant.slug),
        ("Lifecycle", found.get_lifecycle_display()),
        ("Kind", f"{found.get_kind_display()} over {found.get_adapter_display()}"),
        ("Serial", found.serial),
    ]
    return [(name, value) for name, value in facts if value]


def _related_devices(found: Device) -> list[tuple[str, str]]:
    """Its gateway, and the devices that it replaced or was replaced by."""
    others = [
        ("Gateway", found.gateway.uid if found.gateway else ""),
        ("Replaces", getattr(found, "replaces_uid", None) or ""),
        ("Replaced by", getattr(found, "replaced_by_uid", None) or ""),
    ]
    return [(name, uid) for name, uid in others if uid]


def _hardware(found: Device) -> str:
    parts = [found.hardware_revision.slug] if found.hardware_revision else []
    parts += [f"batch {found.batch.slug}"] if found.batch else []
    return ", ".join(parts)


def _twin_rows(twin: dict[str, Any]) -> list[dict[str, Any]]:
    """The top-level keys, desired and reported side by side; differences first."""
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


def _timeline_context(found: Device, before: str | None) -> dict[str, Any]:
    instant = moment_of(before) or timezone.now()
    day = timezone.localtime(instant).date() if before else None
    page = get_device_timeline(found, before=instant, day=day)
    context: dict[str, Any] = {"device": found, "entries": page.entries}
    if page.older_than:
        older = f"?{urlencode({'before': page.older_than.isoformat()})}"
        context["more_url"] = (
            f"{reverse('console:device-timeline', args=[found.uid])}{older}"
        )
        context["more_page_url"] = f"{older}#story"
    return context
