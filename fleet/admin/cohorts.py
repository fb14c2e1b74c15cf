"""Cohorts and snapshots in the admin: every write goes through a service."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from fleet.exceptions import QueryError
from fleet.models import Cohort, Snapshot, SnapshotMember
from fleet.selectors.search import validate_query
from fleet.services.cohorts import delete_cohort, edit_cohort, save_cohort
from iotplatform.common.admin import ReadOnly
from registry.admin.shared.base import ServiceAdmin
from registry.admin.shared.filters import TenantFilter
from registry.admin.shared.large_lists import Bounded
from registry.admin.shared.tenant_rows import OfDevices, OfTenants
from registry.models import Tenant, User
from registry.selectors.access import sets_within


class CohortForm(forms.ModelForm[Cohort]):
    """A cohort with a valid query."""

    owned_by = forms.CharField(
        label="Owner",
        required=False,
        max_length=150,
        help_text="The user name of a member; empty: whoever saves it first.",
    )

    class Meta:
        model = Cohort
        fields = (
            *("tenant", "name", "query", "description", "calls_at", "calls_each"),
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.owner:
            self.initial["owned_by"] = self.instance.owner.get_username()

    def clean_query(self) -> str:
        """Refuse a query that a search would refuse, with the same message."""
        query: str = self.cleaned_data["query"]
        # A cohort stays with its tenant, so a saved one has no such field.
        is_saved = self.instance.pk is not None
        tenant = self.instance.tenant if is_saved else self.cleaned_data.get("tenant")
        try:
            validate_query(query, tenants=[tenant] if tenant else [])
        except QueryError as error:
            raise forms.ValidationError(
                f"{error.message} (position {error.position})"
            ) from error
        return query


@admin.register(Cohort)
class CohortAdmin(OfTenants, ServiceAdmin[Cohort]):
    """Saved queries."""

    form = CohortForm
    list_display = ("name", "tenant", "query", "owner", "created_at")
    list_filter = (TenantFilter,)
    search_fields = ("name", "query")
    list_select_related = ("tenant", "owner")
    autocomplete_fields = ("tenant",)
    ordering = ("-pk",)

    def delete_model(self, request: HttpRequest, obj: Cohort) -> None:
        """Delete through the service; snapshots of the cohort stay."""
        delete_cohort(cohort=obj)

    def get_readonly_fields(
        self, request: HttpRequest, obj: Cohort | None = None
    ) -> tuple[str, ...]:
        """A cohort stays with its tenant."""
        return () if obj is None else ("tenant",)

    def save_model(
        self, request: HttpRequest, obj: Cohort, form: Any, change: bool
    ) -> None:
        """Save through the service that API and console use, too."""
        given: dict[str, Any] = {
            "name": obj.name,
            "query": obj.query,
            "description": obj.description,
            "calls_at": obj.calls_at,
            "calls_each": obj.calls_each,
            "owner": form.cleaned_data.get("owned_by") or None,
        }
        if change:
            edit_cohort(cohort=obj, **given)
            return
        actor = request.user if isinstance(request.user, User) else None
        saved = save_cohort(tenant=obj.tenant, actor=actor, **given)
        obj.pk = saved.pk


@admin.register(Snapshot)
class SnapshotAdmin(ReadOnly, OfTenants, Bounded, admin.ModelAdmin[Any]):
    """Snapshots of cohorts."""

    list_display = ("public_id", "tenant", "cohort", "size", "taken_at", "target_hash")
    ordering = ("-pk",)
    list_filter = (TenantFilter,)
    list_select_related = ("tenant", "cohort")

    def access_condition(self, tenants: list[Tenant]) -> Q:
        """Return the condition for snapshots whose devices may all be seen."""
        return sets_within(tenants, SnapshotMember.objects.all(), owner="snapshot_id")


@admin.register(SnapshotMember)
class SnapshotMemberAdmin(ReadOnly, OfDevices, Bounded, admin.ModelAdmin[Any]):
    """Devices of snapshots."""

    list_display = ("uid", "snapshot", "tenant")
    search_fields = ("snapshot__public_id", "uid")
    search_help_text = "The ID of a snapshot, then the uid of a device if you like"
    list_select_related = ("snapshot", "tenant")
    ordering = ("-pk",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search within one snapshot, because members are indexed by snapshot only."""
        snapshot, _, uid = search_term.strip().partition(" ")
        if not snapshot:
            return queryset, False
        try:
            found = queryset.filter(snapshot__public_id=UUID(snapshot))
        except ValueError:
            return queryset.none(), False
        return found.filter(uid=uid.strip()) if uid else found, False
