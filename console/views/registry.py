"""Registry objects of every kind: list, add, edit, delete."""

from __future__ import annotations

from datetime import datetime
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import ObjectDoesNotExist, ValidationError
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from console.paging import page_of
from console.scope import ConsoleRequest, NotAllowed, page
from console.views.registry_nouns import NOUNS, Noun
from iotplatform.common.problems import Conflict, Problem
from registry.exceptions import NoSuchObject
from registry.permissions import Right
from registry.selectors.slugs import get_by_public_id

if TYPE_CHECKING:
    from console.forms.registry import RegistryForm
    from registry.models import Tenant


@page
def rows(request: ConsoleRequest, noun: Noun) -> HttpResponse:
    """The objects of one kind, the newest first; ``q`` narrows them by their names."""
    return _list(request, noun)


@page
def new(request: ConsoleRequest, noun: Noun) -> HttpResponse:
    tenants = [row for row in request.scope.tenants if _may_manage(request, noun, row)]
    if not tenants:
        raise _refusal(request, noun, request.scope.tenants)
    form = noun.form(*_given(request), tenants=tenants)
    if request.method == "POST" and form.is_valid():
        try:
            made = noun.create(tenant=form.tenant, actor=request.user, **form.values())
        except (Problem, ValidationError) as error:
            form.refuse(error)
        else:
            if noun.has_secret:
                return _show_secret(request, noun, *made)
            messages.success(request, f"The {noun.one} {made} is created.")
            return redirect(noun.list_url)
    return _draw(request, noun, form)


@page
def one(request: ConsoleRequest, noun: Noun, **named: UUID) -> HttpResponse:
    """One object: its form for who may change it, and else its values."""
    row = _find(request, noun, named)
    may_manage = _may_manage(request, noun, row.tenant)
    if not may_manage and (request.method == "POST" or noun.is_for_managers):
        raise _refusal(request, noun, [row.tenant])
    form = noun.form(*_given(request), tenants=[row.tenant], row=row)
    if request.method == "POST" and form.is_valid():
        try:
            changed = noun.change(row, form.values())
        except (Problem, ValidationError) as error:
            form.refuse(error)
        except ObjectDoesNotExist as error:  # somebody has just deleted it
            raise NoSuchObject(noun.one) from error
        else:
            messages.success(request, f"The {noun.one} {changed} is changed.")
            return redirect(noun.list_url)
    return _draw(request, noun, form, row=row, may_manage=may_manage)


@require_POST
@page
def remove(request: ConsoleRequest, noun: Noun, **named: UUID) -> HttpResponse:
    """Delete an object; while something refers to it, the list says what."""
    row = _find(request, noun, named)
    if not _may_manage(request, noun, row.tenant):
        raise _refusal(request, noun, [row.tenant])
    name = str(row)
    try:
        noun.remove(row)
    except Conflict as error:
        return _list(request, noun, error=error.detail, status=409)
    messages.success(request, f"The {noun.one} {name} is {noun.removed}.")
    return redirect(noun.list_url)


def _show_secret(
    request: ConsoleRequest, noun: Noun, row: Any, secret: str
) -> HttpResponse:
    """Show a new secret, in this answer only."""
    title = f"The {noun.one} “{row.name}” is created."
    answer = _list(request, noun, secret=secret, secret_title=title)
    answer["Cache-Control"] = "no-store"
    return answer


def _find(request: ConsoleRequest, noun: Noun, named: dict[str, UUID]) -> Any:
    tenants = request.scope.all_tenants
    (public_id,) = named.values()
    return get_by_public_id(
        noun.rows(tenants=tenants), tenants=tenants, public_id=public_id, what=noun.one
    )


def _may_manage(request: ConsoleRequest, noun: Noun, tenant: Tenant) -> bool:
    if noun.is_of_whole_tenant:
        return request.scope.manages(tenant)
    return request.scope.may(Right.MANAGE, tenant.pk)


def _refusal(request: ConsoleRequest, noun: Noun, tenants: list[Tenant]) -> NotAllowed:
    if noun.is_of_whole_tenant:
        return request.scope.refusal_to_manage(tenants)
    return request.scope.refusal(Right.MANAGE, tenants)


def _given(request: ConsoleRequest) -> tuple[Any, Any]:
    return (request.POST, request.FILES) if request.method == "POST" else (None, None)


def _list(
    request: ConsoleRequest, noun: Noun, *, status: int = 200, **extra: Any
) -> HttpResponse:
    tenants, q = request.scope.tenants, request.GET.get("q", "").strip()
    if noun.is_for_managers:
        tenants = [row for row in tenants if _may_manage(request, noun, row)]
        if not tenants:
            raise _refusal(request, noun, request.scope.tenants)
    listed = noun.rows(tenants=tenants)
    if q:
        each = (Q(**{f"{name}__icontains": q}) for name in noun.searched)
        listed = listed.filter(reduce(or_, each))
    found = page_of(request, listed)
    context = {
        "noun": noun,
        "tabs": _tabs(request),
        "headings": [heading for heading, _ in noun.columns],
        "rows": [
            {"url": noun.url_of(row), "tenant": row.tenant, "cells": _cells(noun, row)}
            for row in found.rows
        ],
        "next_url": found.next_url,
        "first_url": found.first_url,
        "q": q,
        **extra,
        "may_add": any(_may_manage(request, noun, row) for row in tenants),
        "has_tenants": len(request.scope.all_tenants) > 1,
    }
    return render(request, "console/registry/list.html", context, status=status)


def _tabs(request: ConsoleRequest) -> list[Noun]:
    """Return the kinds that the person may read."""
    manages = any(
        request.scope.may(Right.MANAGE, row.pk) for row in request.scope.tenants
    )
    return [noun for noun in NOUNS if manages or not noun.is_for_managers]


def _cells(noun: Noun, row: Any) -> list[dict[str, Any]]:
    """Return what each column shows of a row: a text or a time."""
    values = [(heading, getattr(row, name)) for heading, name in noun.columns]
    return [
        {"heading": heading.lower(), "at": value}
        if isinstance(value, datetime)
        else {"heading": heading.lower(), "text": _text(value)}
        for heading, value in values
    ]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if hasattr(value, "all"):
        return " ".join(map(str, value.all()))
    return "" if value is None else str(value)


def _is_kept(row: Any) -> bool:
    """Whether it can be deleted or revoked; a revoked key cannot."""
    return row is not None and getattr(row, "revoked_at", None) is None


def _draw(
    request: ConsoleRequest,
    noun: Noun,
    form: RegistryForm,
    *,
    row: Any = None,
    may_manage: bool = True,
) -> HttpResponse:
    context = {
        "noun": noun,
        "form": form,
        "row": row,
        "title": str(row) if row else f"New {noun.one}",
        "about": f"{noun.one} of {row.tenant}" if row else noun.about,
        "back_url": noun.list_url,
        "back": f"All {noun.many}",
        "may_manage": may_manage,
        "remove_url": noun.remove_url_of(row) if may_manage and _is_kept(row) else "",
    }
    if form.errors and form.status == 200:
        form.status = 422
    return render(request, "console/registry/form.html", context, status=form.status)
