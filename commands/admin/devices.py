"""Django admin: devices that change places or owners, with what was sent to them.

The registry's admin knows devices; what is open of a device is known here.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from commands.selectors.device_dependents import what_hangs_on
from commands.services.device_lifecycle import move_device
from commands.services.device_transfer import transfer_device
from iotplatform.common.problems import Problem
from registry.admin.device_actions import actor_of
from registry.admin.devices import DeviceAdmin
from registry.admin.shared.base import words_of
from registry.admin.shared.choice_fields import searched_one
from registry.admin.shared.confirm_page import Confirmation, ReasonForm
from registry.admin.shared.tenant_rows import tenants_of
from registry.choices import Lifecycle
from registry.models import (
    Device,
    LifecycleMove,
    Product,
    Project,
    Site,
    Tenant,
)
from registry.permissions import Right
from registry.services.credentials import await_withdrawal
from registry.services.transfer import Destination

MOST_TRANSFERRED = 200  # one by one, each with all that is open of it


class ReplacementForm(ReasonForm):
    """Who stands in the place of a device from now on."""

    replaced_by = forms.ModelChoiceField(
        Device.objects.all(),
        label="Successor",
        widget=searched_one(LifecycleMove, "replaced_by"),
        help_text="Registered already: provisioned, active or in repair.",
    )
    field_order = ("replaced_by", "reason")


class TransferForm(ReasonForm):
    """Where devices go, and what they are there."""

    tenant = forms.ModelChoiceField(
        Tenant.objects.all(), widget=searched_one(Device, "tenant")
    )
    site = forms.ModelChoiceField(
        Site.objects.all(), widget=searched_one(Device, "site")
    )
    product = forms.ModelChoiceField(
        Product.objects.all(), widget=searched_one(Device, "product")
    )
    project = forms.ModelChoiceField(
        Project.objects.all(),
        required=False,
        widget=searched_one(Device, "project"),
        help_text="None: the site's.",
    )
    gateway = forms.ModelChoiceField(
        Device.objects.all(),
        required=False,
        widget=searched_one(Device, "gateway"),
        help_text="Of the new tenant; for children only.",
    )
    field_order = ("tenant", "site", "product", "project", "gateway", "reason")

    def clean(self) -> dict[str, Any]:
        """Refuse what is not the new tenant's."""
        given = super().clean() or {}
        if tenant := given.get("tenant"):
            for name in ("site", "product", "project", "gateway"):
                row = given.get(name)
                if row is not None and row.tenant_id != tenant.pk:
                    self.add_error(name, "It is not the new tenant's.")
        return given


class PlacedDeviceAdmin(DeviceAdmin):
    """Devices, with their replacement and their way to another tenant."""

    actions = (*DeviceAdmin.actions, "replace", "transfer")

    def get_actions(self, request: HttpRequest) -> Any:
        """Offer a transfer to who administers more than one tenant."""
        actions = super().get_actions(request)
        if len(tenants_of(request, Right.ADMINISTER)) < 2:
            actions.pop("transfer", None)
        return actions

    @admin.action(description="Replace by a successor (one device)")
    def replace(
        self, request: HttpRequest, rows: QuerySet[Device]
    ) -> HttpResponse | None:
        """Put another device in the place of the selected one."""
        device = self.the_one(request, rows, "its successor takes its place")
        if device is None:
            return None
        asked = Confirmation(self, request, rows, form=ReplacementForm)
        asked.consequences = _of_replacement(device)
        _offer(self, request, asked.form, "replaced_by")
        if not asked.is_given():
            return asked.page()
        given = asked.form.cleaned_data
        try:
            move_device(
                device=device,
                to=Lifecycle.REPLACED,
                actor=actor_of(request),
                **given,
            )
        except Problem as refusal:
            return asked.refuse(refusal)
        await_withdrawal(device)
        done = f"{given['replaced_by']} stands in the place of {device} now"
        self.tell(request, done, {})
        return None

    @admin.action(description="Transfer to another tenant")
    def transfer(
        self, request: HttpRequest, rows: QuerySet[Device]
    ) -> HttpResponse | None:
        """Give the selected devices to another tenant, each as one operation."""
        asked = Confirmation(
            self, request, rows, form=TransferForm, most=MOST_TRANSFERRED
        )
        asked.consequences = _of_transfer(asked.ids)
        fields = ("tenant", "site", "product", "project", "gateway")
        _offer(self, request, asked.form, *fields)
        if not asked.is_given():
            return asked.page()
        given = asked.form.cleaned_data
        reason, tenant = given.pop("reason"), given.pop("tenant")
        administered = {row.pk: row for row in tenants_of(request, Right.ADMINISTER)}
        if tenant.pk not in administered:
            return asked.say("tenant", "This needs the right to administer it.")
        to = Destination(tenant=administered[tenant.pk], **given)
        moved, refused = [], {}
        for device in rows.order_by("pk"):
            if device.tenant_id not in administered:
                refused[device.uid] = "This needs the right to administer its tenant."
                continue
            try:
                transfer_device(
                    device=device, to=to, reason=reason, actor=actor_of(request)
                )
            except Problem as refusal:
                refused[device.uid] = words_of(refusal)
            else:
                moved.append(device)
        if moved:
            await_withdrawal(moved[-1])  # the broker's files are written whole
        done = f"{len(moved)} transferred to {tenant.slug}" if moved else ""
        self.tell(request, done, refused)
        return None


def _offer(
    view: DeviceAdmin, request: HttpRequest, form: forms.Form, *names: str
) -> None:
    """Take only rows that their own lists show the person."""
    for name in names:
        field: Any = form.fields[name]
        model = field.queryset.model
        field.queryset = view.admin_site.get_model_admin(model).get_queryset(request)


def _of_replacement(device: Device) -> list[str]:
    """Say what becomes of the device, and what its successor takes over."""
    hanging = what_hangs_on([device.pk])
    place = [f"the site {device.site}"]
    place += [f"the space {device.space}"] if device.space else []
    place += [f"the gateway {device.gateway}"] if device.gateway else []
    place += [f"the tags {', '.join(device.tags)}"] if device.tags else []
    place += [f"{hanging.children} children"] if hanging.children else []
    return [
        f"{device} becomes replaced and is cut off: {_many(hanging.credentials)}"
        " revoked. Its history stays with it, and both name each other.",
        f"The successor takes over {', '.join(place)}, and the attributes that its"
        " product allows and it does not have itself.",
        "The successor gets the desired configuration, and of the"
        f" {hanging.open_commands} open commands those that can be asked of it;"
        " real-time ones end.",
    ]


def _of_transfer(ids: Collection[int]) -> list[str]:
    """Say what comes along, what ends, and what stays behind."""
    hanging = what_hangs_on(ids)
    found = [
        "Names, tags, spaces, hardware revisions, batches and attributes that the new"
        " product does not know stay behind; so does all history.",
        f"{_many(hanging.credentials)} revoked: the devices are cut off until the new"
        " owner issues others.",
        f"{hanging.open_commands} open commands end, and the desired configuration is"
        " emptied.",
    ]
    if hanging.children:
        found.append(
            f"{hanging.children} devices have one of these as their gateway: such a"
            " gateway is refused until they have another."
        )
    return found


def _many(credentials: int) -> str:
    if credentials == 1:
        return "1 credential is"
    return f"{credentials} credentials are"


# The registry's own class knows nothing of commands; in the admin stands this one.
admin.site.unregister(Device)
admin.site.register(Device, PlacedDeviceAdmin)
