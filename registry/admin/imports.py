"""Django admin: upload files of devices and watch their import."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.validators import FileExtensionValidator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string

from registry.admin.shared.base import ServiceAdmin, actor_of
from registry.admin.shared.tenant_rows import OfTenants, tenants_of
from registry.models import DeviceImport
from registry.models.imports import ImportStatus
from registry.services.imports.importing import READERS
from registry.services.imports.runs import progress_of, request_import

OPEN = (ImportStatus.QUEUED, ImportStatus.RUNNING)
SHOWN = 200  # errors on one page
LOOK_AGAIN_SECONDS = "2"


class ImportForm(forms.ModelForm[DeviceImport]):
    """The upload of a file."""

    file = forms.FileField(
        validators=[FileExtensionValidator(list(READERS))],
        help_text="A .csv file with the names of device fields in its first line, or an"
        " .ndjson file with one object per line, in the format of an export.",
    )

    class Meta:
        model = DeviceImport
        fields = ("tenant", "file", "is_dry_run")


@admin.register(DeviceImport)
class DeviceImportAdmin(OfTenants, ServiceAdmin[DeviceImport]):
    """Imports of devices: all of a file's lines, or none of them."""

    form = ImportForm
    list_display = ("created_at", "tenant", "actor", "status", "is_dry_run", "devices")
    list_select_related = ("tenant", "actor")
    list_filter = ("status", "is_dry_run")
    autocomplete_fields = ("tenant",)
    ordering = ("-pk",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[DeviceImport]:
        """Show a limited member their own: errors name devices of the whole tenant."""
        rows = super().get_queryset(request)
        if request.user.is_superuser:
            return rows
        tenants = tenants_of(request, self.right)
        limited = [row.pk for row in tenants if row.limit is not None]
        return rows.exclude(~Q(actor=request.user.pk), tenant__in=limited)

    def get_fields(self, request: HttpRequest, obj: DeviceImport | None = None) -> Any:
        """Ask for a file, or show how its import went."""
        if obj is None:
            return ("tenant", "file", "is_dry_run")
        return (
            *("tenant", "actor", "file_format", "is_dry_run", "created_at"),
            *("status", "progress", "ended_at", "devices", "detail", "error_list"),
        )

    def has_change_permission(
        self, request: HttpRequest, obj: DeviceImport | None = None
    ) -> bool:
        """An uploaded file is never changed."""
        return obj is None and super().has_change_permission(request, obj)

    def has_delete_permission(
        self, request: HttpRequest, obj: DeviceImport | None = None
    ) -> bool:
        """An import is never deleted: who uploaded what stays known."""
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.get_fields(request, obj) if obj is not None else ()

    def save_model(
        self, request: HttpRequest, obj: DeviceImport, form: Any, change: bool
    ) -> None:
        """Queue the file for a worker."""
        given = form.cleaned_data
        made = request_import(
            tenant=given["tenant"],
            file=given["file"],
            file_format=given["file"].name.rpartition(".")[2].lower(),
            is_dry_run=given["is_dry_run"],
            actor=actor_of(request),
        )
        obj.pk = made.pk

    def response_add(
        self, request: HttpRequest, obj: DeviceImport, post_url_continue: Any = None
    ) -> HttpResponse:
        """Go to the page that shows the progress."""
        return redirect("admin:registry_deviceimport_change", obj.pk)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Refresh the page until the import ends; a header needs no script."""
        answer = super().changeform_view(request, object_id, form_url, extra_context)
        if object_id and request.method == "GET":
            run = self.get_object(request, object_id)
            if run is not None and run.status in OPEN:
                answer["Refresh"] = LOOK_AGAIN_SECONDS
        return answer

    @admin.display(description="progress")
    def progress(self, run: DeviceImport) -> str:
        """Say how far a running import is."""
        if run.status != ImportStatus.RUNNING:
            return ""
        line = progress_of(run)
        return "started" if line is None else f"line {line:,} read"

    @admin.display(description="errors")
    def error_list(self, run: DeviceImport) -> str:
        if not run.errors:
            return ""
        return render_to_string(
            "admin/registry/_import_errors.html",
            {"errors": run.errors[:SHOWN], "more": max(0, len(run.errors) - SHOWN)},
        )
