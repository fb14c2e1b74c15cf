"""Django admin: the audit log, to look at."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from registry.admin.base import ReadOnlyAdmin
from registry.models import AuditEntry


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin[AuditEntry]):
    """Who changed what, the newest first."""

    list_display = (
        "at",
        "tenant",
        "kind",
        "object_name",
        "action",
        "actor",
        "token_name",
        "door",
    )
    list_filter = ("action", "door", "tenant")
    search_fields = ("object_name__startswith", "=object_id", "=actor")
    search_help_text = "What an object's name begins with, its id, or who did it"
    ordering = ("-id",)
    # The keys of users, tokens and places may outlive what they name.
    exclude = ("user", "token", "device", "site", "project")

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        """Bring along the tenant's name."""
        return super().get_queryset(request).select_related("tenant")
