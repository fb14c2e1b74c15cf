"""Django admin: replacement and transfer of devices, with their open commands.

The registry's admin knows devices; their open commands are known here.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from commands.selectors.device_dependents import count_dependents
from commands.services.device_lifecycle import move_device
from commands.services.device_transfer import transfer_device
from iotplatform.common.counts import counted
from iotplatform.common.problems import Problem
from registry.admin.devices import DeviceAdmin
from registry.admin.shared.base import actor_of, refusal_text
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

MOST_TRANSFERRED = 200  # one by one, each with its open commands


class ReplacementForm(ReasonForm):
    """The successor of a device."""

    replaced_by = forms.ModelChoiceField(
        Device.objects.all(),
        label="Successor",
        widget=searched_one(LifecycleMove, "replaced_by"),
        help_text="A registered device: provisioned, active or in repair.",
    )
    field_order = ("replaced_by", "reason")


class TransferForm(ReasonForm):
    """The new owner of devices, and their place and product there."""

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
        help_text="Leave empty to use the site's project.",
    )
    gateway = forms.ModelChoiceField(
        Device.objects.all(),
        required=False,
        widget=searched_one(Device, "gateway"),
        help_text="A gateway of the new tenant; only for child devices.",
    )
    field_order = ("tenant", "site", "product", "project", "gateway", "reason")

    def clean(self) -> dict[str, Any]:
        """Refuse rows of another tenant than the new owner."""
        given = super().clean() or {}
        if tenant := given.get("tenant"):
            for name in ("site", "product", "project", "gateway"):
                row = given.get(name)
                if row is not None and row.tenant_id != tenant.pk:
                    self.add_error(name, "It does not belong to the new tenant.")
        return given


class PlacedDeviceAdmin(DeviceAdmin):
    """Devices, with the actions replace and transfer."""

    actions = (*DeviceAdmin.actions, "replace", "transfer")

    def get_actions(self, request: HttpRequest) -> Any:
        """Offer the transfer only to people who administer more than one tenant."""
        actions = super().get_actions(request)
        if len(tenants_of(request, Right.ADMINISTER)) < 2:
            actions.pop("transfer", None)
        return actions

    @admin.action(description="Replace by a successor (one device)")
    def replace(
        self, request: HttpRequest, rows: QuerySet[Device]
    ) -> HttpResponse | None:
        """Put another device in the place of the selected one."""
        device = self.single_device(request, rows, "its successor takes its place")
        if device is None:
            return None
        confirmation = Confirmation(self, request, rows, form=ReplacementForm)
        confirmation.consequences = _of_replacement(device)
        _offer(self, request, confirmation.form, "replaced_by")
        if not confirmation.is_given():
            return confirmation.page()
        given = confirmation.form.cleaned_data
        try:
            move_device(
                device=device,
                to=Lifecycle.REPLACED,
                actor=actor_of(request),
                **given,
            )
        except Problem as refusal:
            return confirmation.refuse(refusal)
        await_withdrawal(device)
        done = f"{given['replaced_by']} has replaced {device}"
        self.show_outcome(request, done, {})
        return None

    @admin.action(description="Transfer to another tenant")
    def transfer(
        self, request: HttpRequest, rows: QuerySet[Device]
    ) -> HttpResponse | None:
        """Give the selected devices to another tenant, each in its own transaction."""
        confirmation = Confirmation(
            self, request, rows, form=TransferForm, most=MOST_TRANSFERRED
        )
        confirmation.consequences = _of_transfer(confirmation.ids)
        fields = ("tenant", "site", "product", "project", "gateway")
        _offer(self, request, confirmation.form, *fields)
        if not confirmation.is_given():
            return confirmation.page()
        given = confirmation.form.cleaned_data
        reason, tenant = given.pop("reason"), given.pop("tenant")
        administered = {row.pk: row for row in tenants_of(request, Right.ADMINISTER)}
        if tenant.pk not in administered:
            return confirmation.say("tenant", "You need the right to administer it.")
        to = Destination(tenant=administered[tenant.pk], **given)
        moved, refused = [], {}
        for device in rows.order_by("pk"):
            if device.tenant_id not in administered:
                refused[device.uid] = "You need the right to administer its tenant."
                continue
            try:
                transfer_device(
                    device=device, to=to, reason=reason, actor=actor_of(request)
                )
            except Problem as refusal:
                refused[device.uid] = refusal_text(refusal)
            else:
                moved.append(device)
        if moved:
            await_withdrawal(moved[-1])  # the broker's files are written whole
        done = f"{len(moved)} transferred to {tenant.slug}" if moved else ""
        self.show_outcome(request, done, refused)
        return None


def _offer(
    view: DeviceAdmin, request: HttpRequest, form: forms.Form, *names: str
) -> None:
    """Accept only rows that the person can see in their own admin lists."""
    for name in names:
        field: Any = form.fields[name]
        model = field.queryset.model
        field.queryset = view.admin_site.get_model_admin(model).get_queryset(request)


def _of_replacement(device: Device) -> list[str]:
    """Return what happens to the device, and what its successor takes over."""
    dependents = count_dependents([device.pk])
    place = [f"the site {device.site}"]
    place += [f"the space {device.space}"] if device.space else []
    place += [f"the gateway {device.gateway}"] if device.gateway else []
    place += [f"the tags {', '.join(device.tags)}"] if device.tags else []
    place += [f"{dependents.children} children"] if dependents.children else []
    return [
        f"{device} becomes replaced and can no longer connect:"
        f" {_many(dependents.credentials)} revoked. It keeps its history, and each"
        " device shows the other.",
        f"The successor takes over {', '.join(place)}, and the attributes that its"
        " product allows and that it does not have yet.",
        "The successor gets the desired configuration. Of the"
        f" {counted(dependents.open_commands, 'open command')} it gets those that it"
        " can run; real-time commands end.",
    ]


def _of_transfer(ids: Collection[int]) -> list[str]:
    """Return what is lost, what ends, and what stays with the old owner."""
    dependents = count_dependents(ids)
    found = [
        "The devices lose their names, tags, spaces, hardware revisions, batches, and"
        " attributes that the new product does not know. All history stays with the old"
        " owner.",
        f"{_many(dependents.credentials)} revoked: the devices cannot connect until the"
        " new owner issues others.",
        f"Ended: {counted(dependents.open_commands, 'open command')}; the desired"
        " configuration is emptied.",
    ]
    if dependents.children:
        found.append(
            f"Gateway of {counted(dependents.children, 'device')}: a gateway is refused"
            " until its devices have another one."
        )
    return found


def _many(credentials: int) -> str:
    if credentials == 1:
        return "1 credential is"
    return f"{credentials} credentials are"


# The registry's own admin class knows nothing of commands: this one takes its place.
admin.site.unregister(Device)
admin.site.register(Device, PlacedDeviceAdmin)
