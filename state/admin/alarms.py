"""Django admin: alarm rules and maintenance windows; services do every write."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin import TabularInline
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from iotplatform.common.admin import ReadOnlyInline
from registry.admin.shared.base import ServiceAdmin, actor_of
from registry.admin.shared.choice_fields import searched
from registry.admin.shared.filters import TenantFilter
from registry.admin.shared.large_lists import INLINE_ROWS, BoundedFormSet
from registry.admin.shared.search import ByDevice
from registry.admin.shared.tenant_rows import OfTenants, tenants_of
from registry.models import Device, Site, Tenant
from state.choices import MAX_HOLD_SECONDS
from state.models import AlarmRule, MaintenancePlace, MaintenanceWindow
from state.selectors.maintenance import list_windows, require_all_of
from state.services.alarms.rules import (
    change_rule,
    create_rule,
    delete_rule,
)
from state.services.maintenance import change_window, delete_window, open_window


class RuleForm(forms.ModelForm[AlarmRule]):
    """A threshold on a metric of one of the tenant's products."""

    def clean_hysteresis(self) -> float:
        value = float(self.cleaned_data["hysteresis"])
        if value < 0:
            raise forms.ValidationError("Enter 0 or more.")
        return value

    def clean_hold_seconds(self) -> int:
        value = int(self.cleaned_data["hold_seconds"])
        if value > MAX_HOLD_SECONDS:
            raise forms.ValidationError(f"Enter at most {MAX_HOLD_SECONDS} (a week).")
        return value

    def clean(self) -> dict[str, Any]:
        """Refuse another tenant's product."""
        given = super().clean() or {}
        tenant, product = given.get("tenant"), given.get("product")
        if tenant and product and product.tenant_id != tenant.pk:
            self.add_error("product", "This product belongs to another tenant.")
        return given


@admin.register(AlarmRule)
class AlarmRuleAdmin(OfTenants, ServiceAdmin[AlarmRule]):
    """Alarm rules; the console can try them against the last week."""

    is_of_whole_tenant = True
    form = RuleForm
    list_display = (
        *("name", "tenant", "product", "metric", "comparison", "threshold"),
        *("severity", "code", "enabled"),
    )
    list_select_related = ("tenant", "product")
    list_filter = ("enabled", "severity", TenantFilter)
    search_fields = ("name", "code", "metric", "product__slug")
    autocomplete_fields = ("tenant", "product")
    readonly_fields = ("public_id",)
    ordering = ("-pk",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Make tenant and product of an existing rule read-only."""
        always = super().get_readonly_fields(request, obj)
        return always if obj is None else (*always, "tenant", "product")

    def save_model(
        self, request: HttpRequest, obj: AlarmRule, form: Any, change: bool
    ) -> None:
        """Create or change the rule by its services; its alarms follow."""
        given = form.cleaned_data
        if change:
            changes = {name: given[name] for name in form.changed_data}
            change_rule(obj, by=actor_of(request), **changes)
        else:
            obj.pk = create_rule(**given).pk

    def delete_model(self, request: HttpRequest, obj: AlarmRule) -> None:
        delete_rule(obj, by=actor_of(request))


class WindowForm(forms.ModelForm[MaintenanceWindow]):
    """Work at several of the tenant's devices, or at several of its sites."""

    devices = forms.ModelMultipleChoiceField(
        Device.objects.all(),
        required=False,
        widget=searched(MaintenancePlace, "device"),
    )
    sites = forms.ModelMultipleChoiceField(
        Site.objects.all(),
        required=False,
        widget=searched(MaintenancePlace, "site"),
        help_text="Whole sites, instead of devices.",
    )

    def clean(self) -> dict[str, Any]:
        """Refuse places of another tenant, and an end before the beginning."""
        given = super().clean() or {}
        begin, end = given.get("from_at"), given.get("until")
        if begin and end and end <= begin:
            self.add_error("until", "The end must be after the beginning.")
        if self.instance.pk is None:
            self._clean_places(given)
        return given

    def _clean_places(self, given: dict[str, Any]) -> None:
        tenant = given.get("tenant")
        named = {name: given.get(name) or () for name in ("devices", "sites")}
        for name, rows in named.items():
            if tenant and any(row.tenant_id != tenant.pk for row in rows):
                self.add_error(name, "Some of these belong to another tenant.")
        if not self.errors and bool(named["devices"]) == bool(named["sites"]):
            self.add_error("devices", "Name devices or sites, not both.")

    def _get_validation_exclusions(self) -> Any:
        """Skip the constraints on the times: ``clean`` has a better message."""
        excluded = super()._get_validation_exclusions()  # type: ignore[misc]
        return {*excluded, "from_at", "until"}


class PlaceInline(ReadOnlyInline, TabularInline):  # type: ignore[type-arg]
    """The first places; MaintenancePlaceAdmin lists all of them."""

    model = MaintenancePlace
    formset = BoundedFormSet
    fields = ("device", "site", "from_at", "until")
    ordering = ("pk",)
    verbose_name_plural = f"places (the first {INLINE_ROWS})"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).select_related("device", "site")


@admin.register(MaintenanceWindow)
class MaintenanceWindowAdmin(ByDevice, OfTenants, ServiceAdmin[MaintenanceWindow]):
    """Maintenance windows, the latest first."""

    form = WindowForm
    list_display = ("from_at", "until", "tenant", "reason", "created_by")
    list_filter = (TenantFilter,)
    list_select_related = ("tenant", "created_by")
    autocomplete_fields = ("tenant",)
    ordering = ("-pk",)
    has_public_id = True

    def access_condition(self, tenants: list[Tenant]) -> Q:
        """Return the condition for windows at devices or sites that may be seen."""
        return Q(pk__in=list_windows(tenants=tenants).values("pk"))

    def named(self, device_ids: list[int]) -> Q:
        """Return the condition for windows that name one of these devices."""
        here = MaintenancePlace.objects.filter(device__in=device_ids)
        return Q(pk__in=here.values("window"))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Ask for places only when a window is added."""
        where = ("devices", "sites") if obj is None else ()
        return ("tenant", *where, "from_at", "until", "reason")

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return () if obj is None else (PlaceInline,)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return () if obj is None else ("tenant",)

    def get_form(
        self,
        request: HttpRequest,
        obj: Any | None = None,
        change: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Offer only devices and sites that the person may access."""
        form = super().get_form(request, obj, change, **kwargs)
        for name, model in (("devices", Device), ("sites", Site)):
            if field := form.base_fields.get(name):
                rows = self.admin_site._registry[model].get_queryset(request)
                field.queryset = rows
        return form

    def save_model(
        self, request: HttpRequest, obj: MaintenanceWindow, form: Any, change: bool
    ) -> None:
        """Open or change the window by its services."""
        given = form.cleaned_data
        if change:
            self._require_all_of(request, obj)
            change_window(obj, **{name: given[name] for name in form.changed_data})
            return
        obj.pk = open_window(**given, by=actor_of(request)).pk

    def delete_model(self, request: HttpRequest, obj: MaintenanceWindow) -> None:
        self._require_all_of(request, obj)
        delete_window(obj)

    def _require_all_of(self, request: HttpRequest, window: MaintenanceWindow) -> None:
        if not request.user.is_superuser:
            require_all_of(window, tenants=tenants_of(request, self.right))
