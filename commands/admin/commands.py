"""Django admin: read-only pages of commands and jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from commands.models import Attempt, Command, CommandEvent, Job, JobTarget, JobWave
from iotplatform.common.admin import ReadOnly, ReadOnlyInline
from registry.admin.shared.filters import TenantFilter, Typed
from registry.admin.shared.large_lists import (
    INLINE_ROWS,
    Bounded,
    BoundedFormSet,
)
from registry.admin.shared.search import ByDevice
from registry.admin.shared.tenant_rows import OfDevices, OfTenants
from registry.models import Tenant
from registry.selectors.access import sets_within

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
else:
    ModelAdmin = admin.ModelAdmin
    TabularInline = admin.TabularInline


class AttemptInline(ReadOnlyInline, TabularInline):
    model = Attempt
    formset = BoundedFormSet
    verbose_name_plural = f"attempts (the last {INLINE_ROWS})"
    extra = 0
    ordering = ("-number",)
    fields = ("number", "adapter", "claimed_at", "sent_at", "received_at", "outcome")


class EventInline(ReadOnlyInline, TabularInline):
    model = CommandEvent
    formset = BoundedFormSet
    verbose_name_plural = f"events (the last {INLINE_ROWS})"
    extra = 0
    fields = ("at", "status", "actor", "cause")
    ordering = ("-at", "-id")


class WaveInline(ReadOnlyInline, TabularInline):
    model = JobWave
    formset = BoundedFormSet
    verbose_name_plural = f"waves (the first {INLINE_ROWS})"
    extra = 0
    fields = ("number", "is_canary", "size", "status", "released_at", "ended_at")


@admin.register(Command)
class CommandAdmin(ReadOnly, ByDevice, OfDevices, Bounded, ModelAdmin):
    list_display = ("public_id", "device", "name", "status", "failure_class", "late")
    list_filter = (
        *("status", "command_class", "failure_class", "late"),
        *(("name", Typed), TenantFilter),
    )
    list_select_related = ("device", "tenant")
    has_public_id = True
    search_help_text = "A command's id, or the beginning of a device's uid"
    ordering = ("-id",)
    inlines = (AttemptInline, EventInline)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Also load the rows that a command's page names."""
        related = ("device", "tenant", "job", "requested_by", "retry_of")
        return super().get_queryset(request).select_related(*related)


@admin.register(Job)
class JobAdmin(ReadOnly, OfTenants, Bounded, ModelAdmin):
    list_display = ("name", "tenant", "command_name", "status", "created_at")
    list_filter = ("status", "command_class", TenantFilter)
    list_select_related = ("tenant", "cohort", "created_by")
    search_fields = ("name__startswith",)
    search_help_text = "The beginning of a job's name"
    ordering = ("-id",)
    inlines = (WaveInline,)

    def access_condition(self, tenants: list[Tenant]) -> Q:
        """Return the condition of jobs whose devices are all accessible."""
        return sets_within(tenants, JobTarget.objects.all(), owner="job_id")
