"""Django admin: state to look at; devices write it, and services judge it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin

from iotplatform.common.admin import ReadOnly
from state.models import Alarm, ConnectivityTransition, DeadLetter, ListeningSlot


class ReadOnlyAdmin(ReadOnly, admin.ModelAdmin[Any]):
    """Nothing is added, changed or deleted here."""

    show_full_result_count = False


@admin.register(Alarm)
class AlarmAdmin(ReadOnlyAdmin):
    """Alarms, the latest first."""

    list_display = ("code", "device", "tenant", "severity", "state", "count", "last_at")
    list_filter = ("state", "severity", "tenant")
    list_select_related = ("device", "tenant")
    search_fields = ("code", "device__uid")
    ordering = ("-pk",)


@admin.register(ConnectivityTransition)
class ConnectivityTransitionAdmin(ReadOnlyAdmin):
    """Changes of connectivity, the latest first."""

    list_display = ("at", "device", "moved_from", "moved_to", "cause", "is_abnormal")
    list_filter = ("moved_to", "cause", "is_abnormal")
    list_select_related = ("device",)
    search_fields = ("device__uid",)
    ordering = ("-at",)


@admin.register(DeadLetter)
class DeadLetterAdmin(ReadOnlyAdmin):
    """Messages that could not be taken, the latest first."""

    list_display = ("at", "reason", "uid", "topic", "payload_bytes", "detail")
    list_filter = ("reason", "adapter")
    search_fields = ("uid", "topic")
    ordering = ("-pk",)
    exclude = ("payload",)
    readonly_fields = ("payload_text",)

    @admin.display(description="payload")
    def payload_text(self, letter: DeadLetter) -> str:
        """Show the beginning of the payload as text."""
        return bytes(letter.payload).decode("utf-8", "backslashreplace")


@admin.register(ListeningSlot)
class ListeningSlotAdmin(ReadOnlyAdmin):
    """How the bridges do."""

    list_display = ("slot", "owner", "beat_at", "caught_up_at", "rate", "lag_seconds")
