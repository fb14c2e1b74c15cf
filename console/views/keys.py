"""A person's own API keys: made, shown once, revoked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from console.paging import page_of
from console.scope import ConsoleRequest, page
from iotplatform.common.problems import BadInput
from registry.choices import Scope
from registry.selectors.tokens import get_token, list_tokens
from registry.services.tokens import create_token, revoke_token

# How long a key may last, in days; none is for ever.
LIVES = {"30": "30 days", "90": "90 days", "365": "a year", "": "until revoked"}
SCOPES = {
    Scope.READ: "see everything that you may see",
    Scope.OPERATE: "send commands, start and approve jobs",
    Scope.MANAGE: "register devices, edit products and places, administer",
}
LONGEST_NAME = 100


@page
def keys(request: ConsoleRequest) -> HttpResponse:
    """One's keys, and making one; the new key is in this one answer only."""
    if request.method == "POST":
        return _make(request)
    return _answer(request)


@require_POST
@page
def revoke(request: ConsoleRequest, key_id: UUID) -> HttpResponse:
    """Make a key worthless."""
    key = get_token(request.user, key_id)
    revoke_token(key)
    messages.success(request, f"The key “{key.name}” is revoked.")
    return redirect("console:keys")


def _make(request: ConsoleRequest) -> HttpResponse:
    name = request.POST.get("name", "").strip()
    scopes, days = request.POST.getlist("scopes"), request.POST.get("days", "90")
    if not name or len(name) > LONGEST_NAME or "\0" in name:
        return _answer(
            request, status=422, error=f"Name it, in {LONGEST_NAME} letters."
        )
    if days not in LIVES:
        return _answer(request, status=422, error="Choose how long it shall last.")
    ends = timezone.now() + timedelta(days=int(days)) if days else None
    try:
        _, key = create_token(
            user=request.user, name=name, scopes=scopes, expires_at=ends
        )
    except BadInput as error:
        words = " ".join(str(row["message"]) for row in error.errors)
        return _answer(request, status=422, error=f"Scopes: {words}")
    answer = _answer(request, made=key, made_name=name)
    answer["Cache-Control"] = "no-store"
    return answer


def _answer(
    request: ConsoleRequest, *, status: int = 200, **context: Any
) -> HttpResponse:
    found = page_of(request, list_tokens(request.user))
    now = timezone.now()
    for key in found.rows:
        key.is_over = key.expires_at is not None and key.expires_at <= now
    context |= {
        "keys": found.rows,
        "next_url": found.next_url,
        "first_url": found.first_url,
        "lives": LIVES.items(),
        "scopes": SCOPES.items(),
        "chosen": request.POST.getlist("scopes") or [Scope.READ],
        "name": "" if "made" in context else request.POST.get("name", ""),
        "days": request.POST.get("days", "90"),
    }
    return render(request, "console/keys/list.html", context, status=status)
