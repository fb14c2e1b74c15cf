"""The audit log: who changed what, with the values before and after."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse

from console.forms.date_range import filter_by_dates
from console.paging import page_of
from console.presenters.labels import ENTRY_POINT_LABELS, full_time, one_line
from console.scope import ConsoleRequest, page
from registry.permissions import Right, is_platform_admin
from registry.selectors.audit import find_object, list_entries, list_kinds, name_keys

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from registry.models import AuditEntry
    from registry.selectors.audit import NamedEntry

ACTIONS = ("created", "changed", "deleted")
# Kind → URL name of its page; the other kinds link to the device they belong to.
PAGES = {"command": "console:command", "job": "console:job", "cohort": "console:cohort"}
KINDS = {"api_token": "API key"}  # else the model's name
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


@dataclass(frozen=True)
class Column:
    """One changed column: the values before and after."""

    name: str
    before: str
    after: str
    has_before: bool
    has_after: bool


@page
def audit(request: ConsoleRequest) -> HttpResponse:
    """The changes in tenants where the person may read the log, the newest first."""
    rows = _readable(request)
    asked = {
        name: request.GET.get(name, "").strip()
        for name in ("q", "user", "device", "kind", "action", "from", "to")
    }
    errors: list[str] = []
    found = page_of(request, _filtered(rows, asked, errors))
    entries = name_keys(found.rows)
    return render(
        request,
        "console/audit/list.html",
        {
            "changes": [_as_row(one) for one in entries],
            "asked": {**asked, "from_day": asked["from"]},
            "errors": errors,
            "kinds": list_kinds(),
            "actions": ACTIONS,
            "is_filtered": any(asked.values()),
            "next_url": found.next_url,
            "first_url": found.first_url,
        },
        status=422 if errors else 200,
    )


def _readable(request: ConsoleRequest) -> QuerySet[AuditEntry]:
    scope = request.scope
    tenants = [row for row in scope.tenants if scope.may(Right.AUDIT, row.pk)]
    of_platform = is_platform_admin(request.user) and scope.tenant is None
    if not tenants and not of_platform:
        raise scope.refusal(
            Right.AUDIT, what="You need the right to read the audit log."
        )
    return list_entries(tenants=tenants, of_platform=of_platform)


def _filtered(
    rows: QuerySet[AuditEntry], asked: dict[str, str], errors: list[str]
) -> QuerySet[AuditEntry]:
    """Apply the filters; an invalid date adds an error and is ignored."""
    if asked["q"]:
        rows = find_object(rows, asked["q"])
    if asked["user"]:
        rows = rows.filter(actor=asked["user"])
    if asked["device"]:
        rows = rows.filter(device__uid=asked["device"])
    if asked["kind"] in list_kinds():
        rows = rows.filter(kind=asked["kind"])
    if asked["action"] in ACTIONS:
        rows = rows.filter(action=asked["action"])
    return filter_by_dates(rows, asked, errors)


def _as_row(named: NamedEntry) -> dict[str, Any]:
    entry = named.entry
    before, after = named.before or {}, named.after or {}
    columns = [
        Column(
            name=name.replace("_", " "),
            before=_text(before.get(name)),
            after=_text(after.get(name)),
            has_before=name in before,
            has_after=name in after,
        )
        for name in sorted({*before, *after})
    ]
    return {
        "entry": entry,
        "kind": KINDS.get(entry.kind, entry.kind.replace("_", " ")),
        "url": _url(entry),
        "columns": columns,
        "through": ENTRY_POINT_LABELS.get(entry.door, entry.door),
        "is_whole": named.before is None or named.after is None,
    }


def _text(value: Any) -> str:
    """Return a value on one line; a time in the reader's zone."""
    is_time = isinstance(value, str) and TIME.fullmatch(value)
    return full_time(value) if is_time else one_line(value)


def _url(entry: AuditEntry) -> str:
    if entry.action != "deleted" and entry.kind in PAGES:
        return reverse(PAGES[entry.kind], args=[entry.object_id])
    is_ours = entry.device is not None and entry.device.tenant_id == entry.tenant_id
    if is_ours and entry.device is not None:
        return reverse("console:device", args=[entry.device.uid])
    return ""
