"""Django admin: devices, their lifecycle and their credentials."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from iotplatform.common.admin import ReadOnly
from registry.admin.device_actions import DeviceActions
from registry.admin.shared.base import ServiceAdmin, actor_of, add_errors, for_each
from registry.admin.shared.filters import TenantFilter
from registry.admin.shared.search import ByDevice
from registry.admin.shared.tenant_rows import (
    OfDevices,
    OfTenants,
    tenants_of,
)
from registry.models import Credential, Device, LifecycleMove, Tenant
from registry.selectors.access import within
from registry.selectors.devices import get_replacement_units
from registry.services.credentials import withdraw_credential
from registry.services.device_rules import device_errors
from registry.services.devices import (
    CHANGEABLE,
    DeviceDraft,
    register_device,
    update_device,
)


class DeviceForm(forms.ModelForm[Device]):
    """A device, checked by the rules of its service."""

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        needed = ("tenant_id", "site_id", "product_id")
        if not self.errors and all(getattr(self.instance, name) for name in needed):
            add_errors(self, device_errors(self.instance))


@admin.register(Device)
class DeviceAdmin(DeviceActions, OfTenants, ServiceAdmin[Device]):
    form = DeviceForm
    list_display = ("uid", "name", "tenant", "site", "product", "kind", "lifecycle")
    list_select_related = ("tenant", "site", "product")
    list_filter = (
        "lifecycle",
        "kind",
        "adapter",
        TenantFilter,
    )
    # Only prefixes: indexes find them among a million rows. The fleet page finds more.
    search_fields = ("uid__startswith", "name__startswith", "serial__startswith")
    search_help_text = "Beginning of a uid, a name or a serial"
    autocomplete_fields = (
        *("tenant", "site", "space", "project"),
        *("product", "hardware_revision", "batch", "gateway"),
    )
    ordering = ("uid",)

    def access_condition(self, tenants: list[Tenant]) -> Q:
        return within(tenants)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Keep the identity fixed; actions change the lifecycle."""
        always = ("public_id", "lifecycle", "created_at", "updated_at")
        if obj is None:
            return always
        fixed = (*always, "uid", "tenant", "took_the_place_of", "replaced_by")
        return (*fixed, *self.beyond_access(request, obj))

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Device | None:
        """Add the unit it replaced and the unit that replaced it, if accessible."""
        row = super().get_object(request, object_id, from_field)
        if row is not None:
            tenants = tenants_of(request, self.right)
            row.before, row.after = get_replacement_units(row, tenants=tenants)
        return row

    def view_on_site(self, obj: Device) -> str:
        """Link to the device's page in the console."""
        return reverse("console:device", args=[obj.uid])

    @admin.display(description="took the place of")
    def took_the_place_of(self, obj: Device) -> str:
        return _linked(obj.before)  # type: ignore[attr-defined]

    @admin.display(description="replaced by")
    def replaced_by(self, obj: Device) -> str:
        return _linked(obj.after)  # type: ignore[attr-defined]

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A device is retired, never deleted: its history stays."""
        return False

    def save_model(
        self, request: HttpRequest, obj: Device, form: Any, change: bool
    ) -> None:
        given = {name: form.cleaned_data[name] for name in form.changed_data}
        if change:
            changes = {k: v for k, v in given.items() if k in CHANGEABLE}
            update_device(obj, changes=changes)
            return
        gateway = given.pop("gateway", None)
        given.pop("tenant")
        draft = DeviceDraft(gateway=gateway.uid if gateway else None, **given)
        made = register_device(tenant=obj.tenant, draft=draft, actor=actor_of(request))
        obj.pk = made.pk


@admin.register(Credential)
class CredentialAdmin(ReadOnly, ByDevice, OfDevices, ServiceAdmin[Credential]):
    """Credentials, without their verifiers; they are issued from the device list."""

    list_display = ("device", "tenant", "kind", "created_at", "revoked_at")
    list_select_related = ("device", "tenant")
    list_filter = (("revoked_at", admin.EmptyFieldListFilter),)
    exclude = ("verifier",)
    ordering = ("-pk",)
    actions = ("revoke",)

    @admin.action(description="Revoke")
    def revoke(self, request: HttpRequest, rows: QuerySet[Credential]) -> None:
        """Revoke each selected credential, at the broker too."""
        for_each(self, request, rows, withdraw_credential, "revoked")


@admin.register(LifecycleMove)
class LifecycleMoveAdmin(ReadOnly, ByDevice, OfDevices, ServiceAdmin[LifecycleMove]):
    """The log of lifecycle changes."""

    list_display = ("at", "device", "tenant", "moved_from", "moved_to", "actor")
    list_select_related = ("device", "tenant", "actor")
    list_filter = ("moved_to", TenantFilter)
    ordering = ("-pk",)


def _linked(unit: Device | None) -> str:
    if unit is None:
        return ""
    url = reverse("admin:registry_device_change", args=[unit.pk])
    return format_html('<a href="{}">{}</a>', url, unit.uid)
