"""Django admin: the actions on selected devices, each through its service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminTextInputWidget
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import reverse

from iotplatform.common.problems import Problem
from registry.admin.shared.base import actor_of, refusal_text, show_once
from registry.admin.shared.confirm_page import Confirmation, ReasonForm
from registry.admin.shared.tenant_rows import tenants_of
from registry.choices import CONNECTS, Lifecycle
from registry.file_responses import CSV, NDJSON, export_response
from registry.models import Device
from registry.permissions import Right
from registry.services.credentials import issue_credential
from registry.services.lifecycle import move_devices
from registry.services.tags import edit_tags

if TYPE_CHECKING:
    Base = admin.ModelAdmin[Any]
else:
    Base = object

SHOWN = 20  # refusals of one action: as many as a person reads


class TagsField(forms.CharField):
    """Tags separated by spaces or commas."""

    widget = AdminTextInputWidget

    def clean(self, value: Any) -> Any:
        """Return the tags without repeats."""
        text = str(super().clean(value))
        return list(dict.fromkeys(text.replace(",", " ").split()))


class TagsForm(forms.Form):
    """Tags to add and tags to remove."""

    add = TagsField(required=False, help_text="Separated by spaces.")
    remove = TagsField(required=False)

    def clean(self) -> dict[str, Any]:
        """Refuse a form that names no tag."""
        given = super().clean() or {}
        if not self.errors and not (given["add"] or given["remove"]):
            raise forms.ValidationError("Name a tag to add or to remove.")
        return given


class DeviceActions(Base):
    """The actions of the admin of devices."""

    actions: tuple[str, ...] = (
        *("provision", "activate", "send_to_repair", "retire"),
        *("tag", "issue", "export_as_csv", "export_as_ndjson"),
    )

    @admin.action(description="Move back to provisioned (refurbished)")
    def provision(
        self, request: HttpRequest, rows: QuerySet[Device]
    ) -> HttpResponse | None:
        """Make retired units ready for use again."""
        return self._move(request, rows, Lifecycle.PROVISIONED)

    @admin.action(description="Move to active")
    def activate(
        self, request: HttpRequest, rows: QuerySet[Device]
    ) -> HttpResponse | None:
        return self._move(request, rows, Lifecycle.ACTIVE)

    @admin.action(description="Move to in repair")
    def send_to_repair(
        self, request: HttpRequest, rows: QuerySet[Device]
    ) -> HttpResponse | None:
        return self._move(request, rows, Lifecycle.IN_REPAIR)

    @admin.action(description="Retire (revokes their credentials)")
    def retire(
        self, request: HttpRequest, rows: QuerySet[Device]
    ) -> HttpResponse | None:
        return self._move(request, rows, Lifecycle.RETIRED)

    def _move(
        self, request: HttpRequest, rows: QuerySet[Device], to: Lifecycle
    ) -> HttpResponse | None:
        follows = [f"Each device becomes {to.label} if its lifecycle allows it."]
        if to not in CONNECTS:
            follows.append("Their credentials are revoked and they are disconnected.")
        asked = Confirmation(self, request, rows, form=ReasonForm, consequences=follows)
        if not asked.is_given():
            return asked.page()
        moved = move_devices(
            tenants=tenants_of(request, Right.MANAGE),
            device_ids=asked.ids,
            to=to,
            reason=asked.form.cleaned_data["reason"],
            actor=actor_of(request),
        )
        done = f"{len(moved.devices)} moved to {to.label}" if moved.devices else ""
        self.show_outcome(request, done, moved.refused)
        return None

    @admin.action(description="Add or remove tags")
    def tag(self, request: HttpRequest, rows: QuerySet[Device]) -> HttpResponse | None:
        """Add and remove tags of the selected devices: of all, or of none."""
        follows = ["If a tag cannot be added to one device, none of them changes."]
        asked = Confirmation(self, request, rows, form=TagsForm, consequences=follows)
        if not asked.is_given():
            return asked.page()
        try:
            changed = edit_tags(
                tenants=tenants_of(request, Right.MANAGE),
                device_ids=asked.ids,
                **asked.form.cleaned_data,
            )
        except Problem as refusal:
            return asked.refuse(refusal)
        alike = len(asked.ids) - len(changed)
        more = f"; {alike} needed no change" if alike else ""
        self.show_outcome(request, f"{len(changed)} changed{more}", {})
        return None

    @admin.action(description="Issue a credential (one device)")
    def issue(
        self, request: HttpRequest, rows: QuerySet[Device]
    ) -> HttpResponse | None:
        """Issue a secret to the selected device and show it once."""
        device = self.single_device(request, rows, "a secret is shown once")
        if device is None:
            return None
        try:
            issued = issue_credential(device)
        except Problem as refusal:
            self.message_user(request, refusal_text(refusal), messages.ERROR)
            return None
        return show_once(
            self,
            request,
            what=f"The secret of {device.uid}. It is valid from now on.",
            secret=issued.secret,
            back_url=reverse("admin:registry_device_changelist"),
        )

    @admin.action(description="Export as CSV")
    def export_as_csv(
        self, request: HttpRequest, rows: QuerySet[Device]
    ) -> StreamingHttpResponse:
        """Stream the selected devices, or all that match the filters, as a file."""
        return export_response(rows, CSV)

    @admin.action(description="Export as NDJSON")
    def export_as_ndjson(
        self, request: HttpRequest, rows: QuerySet[Device]
    ) -> StreamingHttpResponse:
        """The same, one JSON object per line."""
        return export_response(rows, NDJSON)

    def single_device(
        self, request: HttpRequest, rows: QuerySet[Device], why: str
    ) -> Device | None:
        """Return the selected device; show an error if it is not exactly one."""
        devices = list(rows[:2])
        if len(devices) == 1:
            return devices[0]
        self.message_user(request, f"Select exactly one device: {why}.", messages.ERROR)
        return None

    def show_outcome(
        self, request: HttpRequest, done: str, refused: dict[str, str]
    ) -> None:
        """Show what was done, and for each refused device why."""
        for uid, why_not in list(refused.items())[:SHOWN]:
            self.message_user(request, f"{uid}: {why_not}", messages.ERROR)
        if (more := len(refused) - SHOWN) > 0:
            self.message_user(request, f"… and {more} others.", messages.ERROR)
        if done:
            self.message_user(request, f"{done}.", messages.SUCCESS)
