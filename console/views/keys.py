"""A person's own API keys: create, show once, revoke."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from console.forms.fields import errors_of, refuse
from console.forms.people import KeyForm
from console.paging import page_of
from console.scope import ConsoleRequest, page
from iotplatform.common.problems import BadInput
from registry.selectors.tokens import get_token, list_tokens
from registry.services.tokens import create_token, revoke_token


@page
def keys(request: ConsoleRequest) -> HttpResponse:
    """List the keys, or create one; only this answer contains the new key."""
    form = KeyForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return _answer(request, form)
    values = form.cleaned_data
    try:
        _, key = create_token(
            user=request.user,
            name=values["name"],
            scopes=values["scopes"],
            expires_at=form.expires_at(),
        )
    except BadInput as error:
        refuse(form, errors_of(error))
        return _answer(request, form)
    answer = _answer(request, KeyForm(), new_key=key, new_key_name=values["name"])
    answer["Cache-Control"] = "no-store"
    return answer


@require_POST
@page
def revoke(request: ConsoleRequest, key_id: UUID) -> HttpResponse:
    key = get_token(request.user, key_id)
    revoke_token(key)
    messages.success(request, f"The key “{key.name}” is revoked.")
    return redirect("console:keys")


def _answer(request: ConsoleRequest, form: KeyForm, **context: Any) -> HttpResponse:
    found = page_of(request, list_tokens(request.user))
    now = timezone.now()
    for key in found.rows:
        key.has_expired = key.expires_at is not None and key.expires_at <= now
    context |= {
        "keys": found.rows,
        "next_url": found.next_url,
        "first_url": found.first_url,
        "form": form,
    }
    status = 422 if form.errors else 200
    return render(request, "console/keys/list.html", context, status=status)
