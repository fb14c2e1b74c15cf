"""Template tags and filters: chips, delivery tracks, tags, numbers, times."""

from __future__ import annotations

import json
from typing import Any

from django import template
from django.forms import BaseForm, BoundField
from django.utils.html import format_html
from django.utils.safestring import SafeString

from console.presenters import delivery_track, labels
from iotplatform.common.counts import counted

register = template.Library()


@register.filter
def number(value: Any) -> str:
    """Return 12345 as 12,345, 0.4321 as 0.43, and None as a dash."""
    if value is None or value == "":
        return "\N{EN DASH}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.2f}".rstrip("0").rstrip(".")
    return str(value)


@register.filter
def percent(value: float | None) -> str:
    """Return a share as a percentage: 0.223 as 22 %, 0.004 as 0.4 %."""
    if value is None:
        return "\N{EN DASH}"
    digits = 0 if value == 0 or value >= 0.01 else 1
    return f"{value * 100:.{digits}f} %"


@register.filter
def times(value: float) -> str:
    """Return a lift as 12.4x."""
    return f"{value:.{1 if value < 100 else 0}f}\N{MULTIPLICATION SIGN}"


@register.filter
def devices(count: int) -> str:
    """Return "1 device" or "1,284 devices"."""
    return counted(count, "device")


@register.filter
def counts(count: int, noun: str) -> str:
    """Return "1 member" or "1,284 members"."""
    return counted(count, noun)


@register.filter
def share_of(value: float, whole: float) -> str:
    """Return value ÷ whole as an SVG width."""
    return f"{100 * value / whole:.2f}%" if whole else "0%"


@register.filter
def seconds(value: float | None) -> str:
    return labels.duration(value)


@register.filter
def ago(value: Any) -> str:
    return labels.ago(value)


@register.filter
def clock(value: Any) -> str:
    return labels.clock(value)


@register.simple_tag
def when(value: Any, text: str = "", css: str = "") -> SafeString:
    """Draw a time of the page; ``text`` replaces the short form."""
    return labels.time_element(value, text, css)


@register.simple_tag
def time_zone() -> str:
    """Return the zone of the times on the page."""
    return labels.zone_label()


@register.filter
def cause(value: str | None) -> str:
    return labels.cause_label(value)


@register.filter
def plain(value: Any) -> str:
    """Return a code without its underscores."""
    return str(value).replace("_", " ")


@register.filter
def plain_error(text: str) -> str:
    return labels.plain_error(text)


@register.filter
def pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)


@register.filter
def compact(value: Any) -> str:
    """Return a value of a document on one line; text without quotes.

    Text that looks like another value keeps its quotes: "30" is not 30.
    """
    return labels.one_line(value)


@register.filter
def get(mapping: Any, key: str) -> Any:
    """Return a value whose key is in a variable, or has a dot."""
    return mapping.get(key) if hasattr(mapping, "get") else None


@register.filter
def control(field: BoundField) -> SafeString:
    """Draw a form control with Tabler's class, linked to its help and errors.

    After an error the cursor stands in the first wrong field.
    """
    widget = field.field.widget
    kind = getattr(widget, "input_type", type(widget).__name__.lower())
    attrs: dict[str, Any] = {}
    if kind not in ("checkbox", "radio"):
        drawn = "form-select" if kind == "select" else "form-control"
        attrs["class"] = f"{drawn} {widget.attrs.get('class', '')}".strip()
    described = [f"{field.id_for_label}-help"] if field.help_text else []
    if field.errors:
        attrs["aria-invalid"] = "true"
        described.append(f"{field.id_for_label}-error")
    if wrong := first_wrong(field.form):
        attrs["autofocus"] = field.name == wrong
    if described:
        attrs["aria-describedby"] = " ".join(described)
    return field.as_widget(attrs=attrs)


@register.filter
def first_wrong(form: BaseForm) -> str:
    """Return the name of the first field with an error; empty without one."""
    return next((name for name in form.fields if form.has_error(name)), "")


@register.simple_tag
def chip(connectivity: str | None, size: str = "", cause: str = "") -> SafeString:
    """Draw the connectivity; a device that never connected has lost nothing: grey."""
    word = connectivity or "unknown"
    if cause == "never_connected":
        word = labels.CAUSE_LABELS[cause]
    kind = word if word in labels.CONNECTIVITY_HELP else "plain"
    return format_html(
        '<span class="chip {} {}" title="{}"><i class="shape"></i>{}</span>',
        kind,
        size,
        labels.CONNECTIVITY_HELP.get(word) or labels.CHIP_HELP.get(word, ""),
        word,
    )


_JOB_CHIPS = {
    "draft": "plain",
    "awaiting_approval": "waiting",
    "scheduled": "waiting",
    "running": "running",
    "paused": "waiting",
    "stopped": "halted",
    "completed": "done",
    "cancelled": "plain",
}


@register.simple_tag
def job_chip(status: str, size: str = "") -> SafeString:
    return format_html(
        '<span class="chip {} {}"><i class="shape"></i>{}</span>',
        _JOB_CHIPS.get(status, "plain"),
        size,
        status.replace("_", " "),
    )


@register.simple_tag
def track(status: str, failure_class: str = "", reached: int = 0) -> SafeString:
    """Draw the delivery track with its accessible name, without a visible label."""
    return _draw_track(
        delivery_track.track_of(status, failure_class or "", reached=reached)
    )


@register.simple_tag
def command_track(command: Any) -> SafeString:
    return _draw_track(_track_of_command(command))


@register.filter
def command_label(command: Any) -> str:
    if command.status == "held" and command.waits_for == "approval":
        return "waiting for an approval"
    return _track_of_command(command).label


@register.filter
def failure_label(failure_class: str) -> str:
    return delivery_track.FAILURE_LABELS.get(failure_class) or failure_class.replace(
        "_", " "
    )


def _track_of_command(command: Any) -> delivery_track.Track:
    reached = delivery_track.steps_done(
        sent=command.sent_at,
        received=command.received_at,
        succeeded=command.succeeded_at,
        verified=command.verified_at,
    )
    return delivery_track.track_of(
        command.status, command.failure_class, reached=reached
    )


def _draw_track(drawn: delivery_track.Track) -> SafeString:
    return format_html(
        '<span class="track" role="img" aria-label="{}" title="{}">'
        '<i class="{}"></i><i class="{}"></i><i class="{}"></i><i class="{}"></i>'
        "</span>",
        drawn.label,
        drawn.label,
        *drawn.segments,
    )


@register.simple_tag
def tag(kind: str, rule: str = "", at: Any = None) -> SafeString:
    """Draw how a value is known: fact, reported (when), judged (by what rule, when)."""
    if kind == "reported" and at:
        return format_html(
            '<span class="tag {}">{} {}</span>', kind, kind, labels.time_element(at)
        )
    if kind != "judged":
        return format_html('<span class="tag {}">{}</span>', kind, kind)
    explained = f"judged by {rule}" if rule else "judged by a rule of the platform"
    if at:
        explained += f", {labels.full_time(at)}"
    return format_html(
        '<span class="tag judged" tabindex="0" data-tip="{}">judged'
        '<span class="visually-hidden"> ({})</span></span>',
        explained,
        explained,
    )


@register.simple_tag
def known(by: dict[str, Any], path: str) -> SafeString:
    """Draw how a value of the device's condition is known, by its path."""
    row = by.get(path)
    if row is None:
        return SafeString("")
    return tag(row["kind"], row["rule"] or "", row["at"])
