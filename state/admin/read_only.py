"""Django admin: read-only tables of state."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q

from iotplatform.common.admin import ReadOnly
from registry.admin.shared.filters import TenantFilter, Typed
from registry.admin.shared.large_lists import Bounded
from registry.admin.shared.search import ByDevice
from registry.admin.shared.tenant_rows import OfDevices, OfTenants
from registry.models import Tenant
from registry.selectors.access import at_site_within, uids_within, within
from state.models import (
    AdapterPath,
    Alarm,
    AlarmChange,
    ConnectivityTransition,
    DeadLetter,
    FieldFeedback,
    ListeningSlot,
    MaintenancePlace,
    Risk,
    TwinChange,
)


class ListAdmin(Bounded, admin.ModelAdmin[Any]):
    """Tables that may be large."""


class ReadOnlyAdmin(ReadOnly, ListAdmin):
    """The platform's own rows; people cannot add, change or delete them."""


@admin.register(Alarm)
class AlarmAdmin(ReadOnly, ByDevice, OfDevices, ListAdmin):
    """Alarms, the latest first."""

    list_display = ("code", "device", "tenant", "severity", "state", "count", "last_at")
    list_filter = ("state", "severity", ("code", Typed), TenantFilter)
    list_select_related = ("device", "tenant")
    has_public_id = True
    ordering = ("-pk",)


@admin.register(AlarmChange)
class AlarmChangeAdmin(ReadOnly, ByDevice, OfDevices, ListAdmin):
    """Changes of alarms, the latest first."""

    list_display = ("at", "device", "code", "move", "reason", "severity", "by")
    list_filter = ("move", "reason", "severity")
    list_select_related = ("device", "by")
    ordering = ("-pk",)


@admin.register(ConnectivityTransition)
class ConnectivityTransitionAdmin(ReadOnly, ByDevice, OfDevices, ListAdmin):
    """Changes of connectivity, the latest first."""

    list_display = ("at", "device", "moved_from", "moved_to", "cause", "is_abnormal")
    list_filter = ("moved_to", "cause", "is_abnormal")
    list_select_related = ("device",)
    ordering = ("-at",)


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnly, OfTenants, ListAdmin):
    """Rejected messages, the latest first."""

    list_display = ("at", "reason", "uid", "topic", "payload_bytes", "detail")
    list_filter = (("reason", Typed), ("adapter", Typed))
    search_fields = ("uid__startswith",)
    search_help_text = "What a uid begins with"
    ordering = ("-pk",)
    exclude = ("payload",)
    readonly_fields = ("payload_text",)

    def access_condition(self, tenants: list[Tenant]) -> Q:
        return uids_within(tenants)

    @admin.display(description="payload")
    def payload_text(self, letter: DeadLetter) -> str:
        return bytes(letter.payload).decode("utf-8", "backslashreplace")


@admin.register(ListeningSlot)
class ListeningSlotAdmin(ReadOnlyAdmin):
    """The slots of the bridges and of the HTTP adapter."""

    list_display = ("slot", "owner", "beat_at", "caught_up_at", "rate", "lag_seconds")


@admin.register(MaintenancePlace)
class MaintenancePlaceAdmin(ReadOnly, ByDevice, OfTenants, ListAdmin):
    """Devices and sites in maintenance, the latest first."""

    list_display = ("window", "device", "site", "from_at", "until")
    list_filter = (TenantFilter,)
    list_select_related = ("window", "device", "site")
    ordering = ("-pk",)

    def access_condition(self, tenants: list[Tenant]) -> Q:
        """Return the condition for devices and sites that the person may see."""
        at_device = Q(device__isnull=False) & within(tenants, device="device")
        return at_device | (Q(site__isnull=False) & at_site_within(tenants))


@admin.register(Risk)
class RiskAdmin(ReadOnly, ByDevice, OfDevices, ListAdmin):
    """The risk of each device, with the reasons."""

    list_display = ("device", "tenant", "score", "at")
    list_filter = (TenantFilter,)
    list_select_related = ("device", "tenant")
    ordering = ("-pk",)


@admin.register(FieldFeedback)
class FieldFeedbackAdmin(ReadOnly, ByDevice, OfDevices, ListAdmin):
    """What people on site saw, the latest first."""

    list_display = ("at", "device", "tenant", "observation", "by", "note")
    list_filter = ("observation", TenantFilter)
    list_select_related = ("device", "tenant", "by")
    ordering = ("-pk",)


@admin.register(TwinChange)
class TwinChangeAdmin(ReadOnly, ByDevice, OfDevices, ListAdmin):
    """Changes of desired and reported documents, the latest first."""

    list_display = ("at", "device", "side", "version", "changes")
    list_filter = ("side",)
    list_select_related = ("device",)
    ordering = ("-pk",)


@admin.register(AdapterPath)
class AdapterPathAdmin(ReadOnlyAdmin):
    """How the adapters deliver commands, as the command plane reports it."""

    list_display = (
        *("adapter", "at", "tries", "unanswered"),
        *("latency_p50_ms", "latency_p95_ms", "usual_p95_ms"),
    )
