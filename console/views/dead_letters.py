"""Rejected messages (dead letters): the reasons, the payloads, and the replay."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from commands.services.dead_letter_replay import (
    MOST_AT_ONCE,
    replay_letters,
)
from console.forms.date_range import filter_by_dates
from console.paging import page_of
from console.presenters.labels import (
    DEAD_LETTER_LABELS,
    REPLAY_LABELS,
    dead_letter_label,
)
from console.presenters.payloads import format_payload, payload_formats
from console.scope import ConsoleRequest, page
from iotplatform.common.ids import parse_uuid
from registry.permissions import Right, is_platform_admin
from state.choices import ReplayOutcome
from state.selectors.dead_letters import (
    count_by_reason,
    get_dead_letter,
    known_uids,
    list_dead_letters,
)

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from state.models import DeadLetter

FILTERS = ("reason", "device", "outcome", "from", "to")
OUTCOMES = [("none", "not replayed"), *REPLAY_LABELS.items()]


@page
def letters(request: ConsoleRequest) -> HttpResponse:
    """The messages of the shown tenants, the newest first, counted by reason."""
    asked = {name: request.GET.get(name, "").strip() for name in FILTERS}
    errors: list[str] = []
    matching = _filtered(_visible(request), asked, errors)
    counts = count_by_reason(matching)
    rows = matching.filter(reason=asked["reason"]) if asked["reason"] else matching
    found = page_of(request, rows)
    _add_labels(request, found.rows)
    return render(
        request,
        "console/dead_letters/list.html",
        {
            "headline": _headline(
                counts.get(asked["reason"], 0)
                if asked["reason"]
                else sum(counts.values()),
                is_filtered=any(asked.values()),
            ),
            "letters": found.rows,
            "reasons": _choices(counts, asked),
            "reason_label": DEAD_LETTER_LABELS.get(asked["reason"], ""),
            "asked": {**asked, "from_day": asked["from"]},
            "errors": errors,
            "outcomes": OUTCOMES,
            "is_filtered": any(asked.values()),
            "may_replay": any(row.may_replay for row in found.rows),
            "back": request.GET.urlencode(),
            "next_url": found.next_url,
            "first_url": found.first_url,
        },
        status=422 if errors else 200,
    )


@page
def letter(request: ConsoleRequest, letter_id: UUID) -> HttpResponse:
    """One message: its payload as JSON, text or bytes, and the result of its replay."""
    row = _get(request, letter_id)
    _add_labels(request, [row])
    payload = bytes(row.payload)
    formats = payload_formats(payload)
    chosen = request.GET.get("as", "")
    chosen = chosen if chosen in formats else formats[0]
    context = {
        "letter": row,
        "reason_label": dead_letter_label(row.reason),
        "formats": [{"name": name, "is_on": name == chosen} for name in formats],
        "payload": format_payload(payload, chosen),
        "kept_bytes": len(payload),
        "is_whole": len(payload) == row.payload_bytes,
    }
    return render(request, "console/dead_letters/page.html", context)


@require_POST
@page
def replay(request: ConsoleRequest) -> HttpResponse:
    """Replay the selected messages, then show the result of each."""
    ids = {key for text in request.POST.getlist("letter") if (key := parse_uuid(text))}
    if not 1 <= len(ids) <= MOST_AT_ONCE:
        messages.error(request, f"Select 1 to {MOST_AT_ONCE} messages to replay.")
        return redirect(_back(request))
    chosen = list(_visible(request, every=True).filter(public_id__in=ids))
    for row in chosen:
        if not _may_replay(request, row):
            raise request.scope.refusal(
                Right.OPERATE,
                [row.tenant] if row.tenant else [],
                what="You need the right to operate in the tenant of the message.",
            )
    results = replay_letters(chosen, by=request.user, now=timezone.now())
    gone = len(ids) - len(chosen)
    counts = Counter(result.outcome for result in results)
    parts = [f"{count} {REPLAY_LABELS[outcome]}" for outcome, count in counts.items()]
    parts += [f"{gone} no longer kept"] if gone else []
    is_success = (
        set(counts) <= {ReplayOutcome.TAKEN, ReplayOutcome.REPEATED} and not gone
    )
    note = messages.success if is_success else messages.warning
    note(request, f"Replayed: {', '.join(parts)}.")
    if request.POST.get("back") == "letter" and len(chosen) == 1:
        return redirect("console:dead-letter", chosen[0].public_id)
    return redirect(_back(request))


def _visible(request: ConsoleRequest, *, every: bool = False) -> QuerySet[DeadLetter]:
    """Return the visible messages; platform admins also see those of no device."""
    scope = request.scope
    is_all = every or scope.tenant is None
    return list_dead_letters(
        tenants=scope.all_tenants if every else scope.tenants,
        of_platform=is_all and is_platform_admin(request.user),
    )


def _get(request: ConsoleRequest, letter_id: UUID) -> DeadLetter:
    return get_dead_letter(
        tenants=request.scope.all_tenants,
        of_platform=is_platform_admin(request.user),
        letter_id=letter_id,
    )


def _filtered(
    rows: QuerySet[DeadLetter], asked: dict[str, str], errors: list[str]
) -> QuerySet[DeadLetter]:
    if device := asked["device"].replace("\0", ""):
        rows = rows.filter(Q(uid=device) | Q(sender=device))
    if asked["outcome"] in dict(OUTCOMES):
        outcome = asked["outcome"]
        rows = rows.filter(outcome="" if outcome == "none" else outcome)
    asked["reason"] = asked["reason"].replace("\0", "")
    return filter_by_dates(rows, asked, errors)


def _add_labels(request: ConsoleRequest, rows: list[DeadLetter]) -> None:
    """Add labels, whether it may be replayed, and whether its device has a page."""
    scope = request.scope
    known = known_uids(tenants=scope.all_tenants, uids={row.uid for row in rows})
    for row in rows:
        row.has_page = row.uid in known  # type: ignore[attr-defined]
        row.may_replay = _may_replay(request, row)  # type: ignore[attr-defined]
        row.label = dead_letter_label(row.reason)  # type: ignore[attr-defined]
        row.replay_label = REPLAY_LABELS.get(row.outcome, "")  # type: ignore[attr-defined]


def _may_replay(request: ConsoleRequest, row: DeadLetter) -> bool:
    if row.tenant_id is None:
        return is_platform_admin(request.user)
    return request.scope.may(Right.OPERATE, row.tenant_id)


def _choices(counts: dict[str, int], asked: dict[str, str]) -> list[dict[str, Any]]:
    """Return the reasons as links that set the filter, or remove it again."""
    kept = {name: value for name, value in asked.items() if value and name != "reason"}
    chosen = asked["reason"]
    if chosen and chosen not in counts:
        counts = counts | {chosen: 0}
    return [
        {
            "code": code,
            "label": dead_letter_label(code),
            "count": count,
            "is_on": code == chosen,
            "url": "?" + urlencode(kept if code == chosen else kept | {"reason": code}),
        }
        for code, count in counts.items()
    ]


def _back(request: ConsoleRequest) -> str:
    """Return the address of the list with the filters that it had before."""
    given = QueryDict(request.POST.get("back", ""))
    kept = {name: given[name] for name in (*FILTERS, "before") if given.get(name)}
    return f"{reverse('console:dead-letters')}?{urlencode(kept)}"


def _headline(total: int, *, is_filtered: bool) -> str:
    if is_filtered:
        return "1 message matches" if total == 1 else f"{total:,} messages match"
    if not total:
        return "No rejected messages"
    return "1 rejected message" if total == 1 else f"{total:,} rejected messages"
