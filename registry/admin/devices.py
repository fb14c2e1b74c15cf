"""Django admin: devices, their lifecycle and their credentials."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import reverse

from iotplatform.common.admin import ReadOnly
from iotplatform.common.problems import Problem
from registry.admin.base import (
    ServiceAdmin,
    add_errors,
    for_each,
    show_once,
    words_of,
)
from registry.admin.filters import TenantFilter
from registry.admin.reach import OfDevices, OfTenants
from registry.exporting import CSV, NDJSON, export_response
from registry.lifecycle import Lifecycle
from registry.models import Credential, Device, LifecycleMove, Tenant
from registry.permissions import Right, tenants_where
from registry.selectors.reach import within
from registry.services.credentials import issue_credential, withdraw_credential
from registry.services.device_rules import device_errors
from registry.services.devices import (
    CHANGEABLE,
    DeviceDraft,
    register_device,
    update_device,
)
from registry.services.lifecycle import move_devices

SHOWN = 20  # refusals of one action: what a person reads


class DeviceForm(forms.ModelForm[Device]):
    """A device, held to the rules of its service."""

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        needed = ("tenant_id", "site_id", "product_id")
        if not self.errors and all(getattr(self.instance, name) for name in needed):
            add_errors(self, device_errors(self.instance))


@admin.register(Device)
class DeviceAdmin(OfTenants, ServiceAdmin[Device]):
    """Physical units."""

    form = DeviceForm
    list_display = ("uid", "name", "tenant", "site", "product", "kind", "lifecycle")
    list_select_related = ("tenant", "site", "product")
    list_filter = (
        "lifecycle",
        "kind",
        "adapter",
        TenantFilter,
    )
    # Their beginnings, which indexes find among a million; the fleet page finds more.
    search_fields = ("uid__startswith", "name__startswith", "serial__startswith")
    search_help_text = "The beginning of a uid, a name or a serial"
    autocomplete_fields = (
        *("tenant", "site", "space", "project"),
        *("product", "hardware_revision", "batch"),
    )
    raw_id_fields = ("gateway",)
    ordering = ("uid",)
    actions = (
        *("activate", "send_to_repair", "retire", "issue"),
        *("export_as_csv", "export_as_ndjson"),
    )

    def reached(self, tenants: list[Tenant]) -> Q:
        """Return the condition of devices within reach."""
        return within(tenants)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Fix who a device is, and leave its lifecycle to the actions."""
        always = ("public_id", "lifecycle", "created_at", "updated_at")
        return always if obj is None else (*always, "uid", "tenant")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A device is retired, not deleted: its history stays."""
        return False

    def save_model(
        self, request: HttpRequest, obj: Device, form: Any, change: bool
    ) -> None:
        """Register or change through the services."""
        given = {name: form.cleaned_data[name] for name in form.changed_data}
        if change:
            changes = {k: v for k, v in given.items() if k in CHANGEABLE}
            update_device(obj, changes=changes)
            return
        gateway = given.pop("gateway", None)
        given.pop("tenant")
        draft = DeviceDraft(gateway=gateway.uid if gateway else None, **given)
        made = register_device(tenant=obj.tenant, draft=draft, actor=_actor(request))
        obj.pk = made.pk

    @admin.action(description="Move to active")
    def activate(self, request: HttpRequest, rows: QuerySet[Device]) -> None:
        """Move each selected device to active, where its lifecycle allows it."""
        self._move(request, rows, Lifecycle.ACTIVE)

    @admin.action(description="Move to in repair")
    def send_to_repair(self, request: HttpRequest, rows: QuerySet[Device]) -> None:
        """Move each selected device to in repair, where its lifecycle allows it."""
        self._move(request, rows, Lifecycle.IN_REPAIR)

    @admin.action(description="Retire (revokes their credentials)")
    def retire(self, request: HttpRequest, rows: QuerySet[Device]) -> None:
        """Retire each selected device, where its lifecycle allows it."""
        self._move(request, rows, Lifecycle.RETIRED)

    @admin.action(description="Issue a credential (one device)")
    def issue(
        self, request: HttpRequest, rows: QuerySet[Device]
    ) -> HttpResponse | None:
        """Issue a secret to the one selected device and show it once."""
        devices = list(rows[:2])
        if len(devices) != 1:
            text = "Select exactly one device: a secret is shown once."
            self.message_user(request, text, messages.ERROR)
            return None
        try:
            issued = issue_credential(devices[0])
        except Problem as refusal:
            self.message_user(request, words_of(refusal), messages.ERROR)
            return None
        return show_once(
            self,
            request,
            what=f"The secret of {devices[0].uid}, valid from now.",
            secret=issued.secret,
            back_url=reverse("admin:registry_device_changelist"),
        )

    @admin.action(description="Export as CSV")
    def export_as_csv(
        self, request: HttpRequest, rows: QuerySet[Device]
    ) -> StreamingHttpResponse:
        """Stream the selected devices, or all that the filters leave, as a file."""
        return export_response(rows, CSV)

    @admin.action(description="Export as NDJSON")
    def export_as_ndjson(
        self, request: HttpRequest, rows: QuerySet[Device]
    ) -> StreamingHttpResponse:
        """The same, an object a line."""
        return export_response(rows, NDJSON)

    def _move(
        self, request: HttpRequest, rows: QuerySet[Device], to: Lifecycle
    ) -> None:
        moved = move_devices(
            tenants=tenants_where(_actor(request), Right.MANAGE),
            device_ids=list(rows.values_list("pk", flat=True)),
            to=to,
            reason="in the admin",
            actor=_actor(request),
        )
        for uid, why_not in list(moved.refused.items())[:SHOWN]:
            self.message_user(request, f"{uid}: {why_not}", messages.ERROR)
        if (more := len(moved.refused) - SHOWN) > 0:
            self.message_user(request, f"… and {more} others.", messages.ERROR)
        if moved.devices:
            done = f"{len(moved.devices)} moved to {to.label}."
            self.message_user(request, done, messages.SUCCESS)


@admin.register(Credential)
class CredentialAdmin(ReadOnly, OfDevices, ServiceAdmin[Credential]):
    """Credentials, without what verifies them; issued from the devices' list."""

    list_display = ("device", "tenant", "kind", "created_at", "revoked_at")
    list_select_related = ("device", "tenant")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    search_fields = ("device__uid",)
    exclude = ("verifier",)
    actions = ("revoke",)

    @admin.action(description="Revoke")
    def revoke(self, request: HttpRequest, rows: QuerySet[Credential]) -> None:
        """Revoke each selected credential, at the broker too."""
        for_each(self, request, rows, withdraw_credential, "revoked")


@admin.register(LifecycleMove)
class LifecycleMoveAdmin(ReadOnly, OfDevices, ServiceAdmin[LifecycleMove]):
    """The record of lifecycles."""

    list_display = ("at", "device", "tenant", "moved_from", "moved_to", "actor")
    list_select_related = ("device", "tenant", "actor")
    list_filter = ("moved_to",)
    search_fields = ("device__uid",)


def _actor(request: HttpRequest) -> Any:
    return request.user
