"""Credentials of a device: issue or rotate, show once, revoke."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from console.forms.credentials import CertificateForm
from console.paging import page_of
from console.scope import ConsoleRequest, page
from console.views.device import find
from iotplatform.common.problems import BadInput, Problem, Unavailable
from registry.choices import CONNECTS
from registry.permissions import Right
from registry.selectors.credentials import get_credential, list_credentials
from registry.services.credentials import (
    Issued,
    issue_credential,
    register_certificate,
    withdraw_credential,
)

if TYPE_CHECKING:
    from registry.models import Device


@never_cache
@page
def credentials(request: ConsoleRequest, uid: str) -> HttpResponse:
    """List the credentials; a POST issues one, and only its answer has the secret.

    The older ones stay valid until somebody revokes them, so that a device can change
    over without a gap (unless the broker reads files, and knows the newest only).
    """
    found = _managed(request, uid)
    if request.method != "POST":
        return _answer(request, found)
    form = None
    try:
        if request.POST.get("kind") == "x509":
            form = CertificateForm(request.POST)
            if not form.is_valid():
                return _answer(request, found, form=form, status=422)
            fingerprint = form.cleaned_data["certificate"]
            issued = register_certificate(found, fingerprint=fingerprint)
        else:
            issued = issue_credential(found)
    except BadInput as error:
        text = " ".join(row["message"] for row in error.errors)
        return _answer(request, found, form=form, error=text, status=422)
    except Problem as error:
        return _answer(request, found, error=error.detail, status=error.status)
    return _answer(request, found, issued=issued)


@require_POST
@page
def revoke(request: ConsoleRequest, uid: str, credential_id: UUID) -> HttpResponse:
    """Revoke one; the broker refuses it from the answer on."""
    found = _managed(request, uid)
    credential = get_credential(found, credential_id)
    try:
        withdraw_credential(credential)
    except Unavailable as error:
        messages.warning(request, error.detail)
    else:
        messages.success(request, f"The credential of {uid} is revoked.")
    return redirect("console:device-credentials", uid)


def _managed(request: ConsoleRequest, uid: str) -> Device:
    found = find(request, uid)
    request.scope.require(Right.MANAGE, found.tenant_id)
    return found


def _answer(
    request: ConsoleRequest,
    device: Device,
    *,
    issued: Issued | None = None,
    form: CertificateForm | None = None,
    error: str = "",
    status: int = 200,
) -> HttpResponse:
    every = list_credentials(device)
    found = page_of(request, every)
    context: dict[str, Any] = {
        "device": device,
        "credentials": found.rows,
        "next_url": found.next_url,
        "first_url": found.first_url,
        "valid": every.filter(revoked_at__isnull=True).count(),
        "connects": device.lifecycle in CONNECTS,
        "issued": issued,
        "form": form or CertificateForm(),
        "form_open": form is not None,
        "error": error,
    }
    return render(request, "console/device/credentials.html", context, status=status)
