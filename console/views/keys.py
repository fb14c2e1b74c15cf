"""A person's own API keys: create, show once, revoke."""

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
from registry.choices import TokenScope
from registry.selectors.tokens import get_token, list_tokens
from registry.services.tokens import create_token, revoke_token

# Days that a key is valid → label; empty means without end.
LIFETIMES = {"30": "30 days", "90": "90 days", "365": "a year", "": "until revoked"}
SCOPES = {
    TokenScope.READ: "read everything that you may see",
    TokenScope.OPERATE: "send commands, start and approve jobs",
    TokenScope.MANAGE: "register devices, edit products and places, manage members",
}
MAX_NAME_LENGTH = 100


@page
def keys(request: ConsoleRequest) -> HttpResponse:
    """List the keys, or create one; only this answer contains the new key."""
    if request.method == "POST":
        return _create(request)
    return _answer(request)


@require_POST
@page
def revoke(request: ConsoleRequest, key_id: UUID) -> HttpResponse:
    key = get_token(request.user, key_id)
    revoke_token(key)
    messages.success(request, f"The key “{key.name}” is revoked.")
    return redirect("console:keys")


def _create(request: ConsoleRequest) -> HttpResponse:
    name = request.POST.get("name", "").strip()
    scopes, days = request.POST.getlist("scopes"), request.POST.get("days", "90")
    if not name or len(name) > MAX_NAME_LENGTH or "\0" in name:
        return _answer(
            request, status=422, error=f"The name needs 1 to {MAX_NAME_LENGTH} letters."
        )
    if days not in LIFETIMES:
        return _answer(request, status=422, error="Choose how long the key is valid.")
    ends = timezone.now() + timedelta(days=int(days)) if days else None
    try:
        _, key = create_token(
            user=request.user, name=name, scopes=scopes, expires_at=ends
        )
    except BadInput as error:
        text = " ".join(str(row["message"]) for row in error.errors)
        return _answer(request, status=422, error=f"Scopes: {text}")
    answer = _answer(request, new_key=key, new_key_name=name)
    answer["Cache-Control"] = "no-store"
    return answer


def _answer(
    request: ConsoleRequest, *, status: int = 200, **context: Any
) -> HttpResponse:
    found = page_of(request, list_tokens(request.user))
    now = timezone.now()
    for key in found.rows:
        key.has_expired = key.expires_at is not None and key.expires_at <= now
    context |= {
        "keys": found.rows,
        "next_url": found.next_url,
        "first_url": found.first_url,
        "lifetimes": LIFETIMES.items(),
        "scopes": SCOPES.items(),
        "chosen": request.POST.getlist("scopes") or [TokenScope.READ],
        "name": "" if "new_key" in context else request.POST.get("name", ""),
        "days": request.POST.get("days", "90"),
    }
    return render(request, "console/keys/list.html", context, status=status)
