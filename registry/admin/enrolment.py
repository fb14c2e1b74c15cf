"""Django admin: enrolment keys, made and revoked here."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from registry.admin.shared.base import ServiceAdmin, actor_of, for_each, show_once
from registry.admin.shared.filters import TenantFilter
from registry.admin.shared.tenant_rows import OfTenants
from registry.models import EnrolmentKey, Tenant
from registry.selectors.access import at_site_within
from registry.services.enrolment import (
    CHANGEABLE,
    create_enrolment_key,
    revoke_enrolment_key,
    update_enrolment_key,
)


@admin.register(EnrolmentKey)
class EnrolmentKeyAdmin(OfTenants, ServiceAdmin[EnrolmentKey]):
    """Keys with which devices register themselves."""

    list_display = (
        *("name", "prefix", "tenant", "product", "batch", "site"),
        *("used_count", "max_devices", "expires_at", "revoked_at"),
    )
    list_select_related = ("tenant", "product", "batch", "site")
    list_filter = (
        TenantFilter,
        ("revoked_at", admin.EmptyFieldListFilter),
    )
    search_fields = ("name", "prefix", "product__slug", "site__slug")
    autocomplete_fields = ("tenant", "product", "batch", "site")
    ordering = ("-id",)
    actions = ("revoke",)

    def access_condition(self, tenants: list[Tenant]) -> Q:
        return at_site_within(tenants)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Keep the target of a key fixed; counters and dates are not edited."""
        if obj is None:
            return ()
        counted = ("prefix", "used_count", "created_at", "created_by", "revoked_at")
        return ("tenant", "product", "batch", *counted)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A key is revoked, never deleted: its record stays."""
        return False

    def save_model(
        self, request: HttpRequest, obj: EnrolmentKey, form: Any, change: bool
    ) -> None:
        if change:
            given = {name: form.cleaned_data[name] for name in form.changed_data}
            changes = {k: v for k, v in given.items() if k in CHANGEABLE}
            update_enrolment_key(obj, changes=changes)
            return
        made, key = create_enrolment_key(**form.cleaned_data, actor=actor_of(request))
        obj.pk = made.pk
        request.key_to_show = key  # type: ignore[attr-defined]

    def response_add(
        self, request: HttpRequest, obj: EnrolmentKey, post_url_continue: Any = None
    ) -> HttpResponse:
        return show_once(
            self,
            request,
            what=f"The enrolment key '{obj.name}'.",
            secret=request.key_to_show,  # type: ignore[attr-defined]
            back_url=reverse("admin:registry_enrolmentkey_changelist"),
        )

    @admin.action(description="Revoke")
    def revoke(self, request: HttpRequest, rows: QuerySet[EnrolmentKey]) -> None:
        for_each(self, request, rows, revoke_enrolment_key, "revoked")
