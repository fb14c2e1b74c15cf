"""Messages that could not be taken: why, what they said, and taking them in again."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
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
from console.forms.date_range import within_days
from console.paging import page_of
from console.presenters.labels import REASONS, reason_in_words
from console.presenters.payloads import shown, ways_of
from console.scope import ConsoleRequest, page
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
OUTCOMES = [("none", "not replayed"), *ReplayOutcome.choices]


@page
def letters(request: ConsoleRequest) -> HttpResponse:
    """The letters of the tenants in view, the newest first, and how many of which."""
    asked = {name: request.GET.get(name, "").strip() for name in FILTERS}
    errors: list[str] = []
    every = _narrowed(_reached(request), asked, errors)
    counts = count_by_reason(every)
    rows = every.filter(reason=asked["reason"]) if asked["reason"] else every
    found = page_of(request, rows)
    _dress(request, found.rows)
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
            "reason_words": REASONS.get(asked["reason"], ""),
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
    """One letter: what it said, as JSON, text or bytes, and what came of it since."""
    row = _get(request, letter_id)
    _dress(request, [row])
    payload = bytes(row.payload)
    ways = ways_of(payload)
    way = request.GET.get("as", "")
    way = way if way in ways else ways[0]
    context = {
        "letter": row,
        "reason_words": reason_in_words(row.reason),
        "ways": [{"name": name, "is_on": name == way} for name in ways],
        "payload": shown(payload, way),
        "kept_bytes": len(payload),
        "is_whole": len(payload) == row.payload_bytes,
    }
    return render(request, "console/dead_letters/page.html", context)


@require_POST
@page
def replay(request: ConsoleRequest) -> HttpResponse:
    """Take the chosen letters in again, then show each with what came of it."""
    ids = {key for text in request.POST.getlist("letter") if (key := _uuid(text))}
    if not 1 <= len(ids) <= MOST_AT_ONCE:
        messages.error(request, f"Choose letters to replay: 1 to {MOST_AT_ONCE}.")
        return redirect(_back(request))
    chosen = list(_reached(request, every=True).filter(public_id__in=ids))
    for row in chosen:
        if not _may_replay(request, row):
            raise PermissionDenied("This needs the right to operate in its tenant.")
    results = replay_letters(chosen, by=request.user, now=timezone.now())
    gone = len(ids) - len(chosen)
    counts = Counter(result.outcome for result in results)
    words = [f"{count} {outcome}" for outcome, count in counts.items()]
    words += [f"{gone} not kept any more"] if gone else []
    is_well = set(counts) <= {ReplayOutcome.TAKEN, ReplayOutcome.REPEATED} and not gone
    note = messages.success if is_well else messages.warning
    note(request, f"Replayed: {', '.join(words)}.")
    if request.POST.get("back") == "letter" and len(chosen) == 1:
        return redirect("console:dead-letter", chosen[0].public_id)
    return redirect(_back(request))


def _reached(request: ConsoleRequest, *, every: bool = False) -> QuerySet[DeadLetter]:
    """Return the letters in view; those of no device are the platform's."""
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


def _narrowed(
    rows: QuerySet[DeadLetter], asked: dict[str, str], errors: list[str]
) -> QuerySet[DeadLetter]:
    if device := asked["device"].replace("\0", ""):
        rows = rows.filter(Q(uid=device) | Q(sender=device))
    if asked["outcome"] in dict(OUTCOMES):
        outcome = asked["outcome"]
        rows = rows.filter(outcome="" if outcome == "none" else outcome)
    asked["reason"] = asked["reason"].replace("\0", "")
    return within_days(rows, asked, errors)


def _dress(request: ConsoleRequest, rows: list[DeadLetter]) -> None:
    """Say of each whether it may be replayed, and whether its device has a page."""
    scope = request.scope
    known = known_uids(tenants=scope.all_tenants, uids={row.uid for row in rows})
    for row in rows:
        row.has_page = row.uid in known  # type: ignore[attr-defined]
        row.may_replay = _may_replay(request, row)  # type: ignore[attr-defined]
        row.words = reason_in_words(row.reason)  # type: ignore[attr-defined]


def _may_replay(request: ConsoleRequest, row: DeadLetter) -> bool:
    if row.tenant_id is None:
        return is_platform_admin(request.user)
    return request.scope.may(Right.OPERATE, row.tenant_id)


def _choices(counts: dict[str, int], asked: dict[str, str]) -> list[dict[str, Any]]:
    """Return the reasons as links that narrow the list, and back."""
    kept = {name: value for name, value in asked.items() if value and name != "reason"}
    chosen = asked["reason"]
    if chosen and chosen not in counts:
        counts = counts | {chosen: 0}
    return [
        {
            "code": code,
            "words": reason_in_words(code),
            "count": count,
            "is_on": code == chosen,
            "url": "?" + urlencode(kept if code == chosen else kept | {"reason": code}),
        }
        for code, count in counts.items()
    ]


def _back(request: ConsoleRequest) -> str:
    """Return the way to the list as it was; only its own parameters go along."""
    given = QueryDict(request.POST.get("back", ""))
    kept = {name: given[name] for name in (*FILTERS, "before") if given.get(name)}
    return f"{reverse('console:dead-letters')}?{urlencode(kept)}"


def _headline(total: int, *, is_filtered: bool) -> str:
    if is_filtered:
        return "1 is like that" if total == 1 else f"{total:,} are like that"
    if not total:
        return "Every message could be taken in"
    if total == 1:
        return "1 message could not be taken in"
    return f"{total:,} messages could not be taken in"


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
