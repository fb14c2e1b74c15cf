"""Django admin: the audit log, read-only."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from iotplatform.common.admin import ReadOnly
from registry.admin.shared.base import ServiceAdmin
from registry.admin.shared.filters import TenantFilter, Typed
from registry.admin.shared.tenant_rows import OfTenants
from registry.models import AuditEntry, Tenant
from registry.permissions import Right
from registry.selectors.access import within


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly, OfTenants, ServiceAdmin[AuditEntry]):
    """Who changed what, newest first."""

    right = Right.AUDIT
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
    list_filter = ("action", ("door", Typed), ("kind", Typed), TenantFilter)
    search_fields = ("object_name__startswith", "=object_id", "=actor")
    search_help_text = "Beginning of an object's name, its id, or who changed it"
    ordering = ("-id",)
    # The keys of users, tokens and places may refer to rows that were deleted.
    exclude = ("user", "token", "device", "site", "project")

    def access_condition(self, tenants: list[Tenant]) -> Q:
        """Limited members see the changes of their own places."""
        return within(tenants)

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        return super().get_queryset(request).select_related("tenant")
