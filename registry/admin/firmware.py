"""Django admin: firmware releases, uploaded here."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from iotplatform.common.problems import NotFound
from registry.admin.shared.base import ServiceAdmin, actor_of
from registry.admin.shared.choice_fields import searched
from registry.admin.shared.filters import TenantFilter
from registry.admin.shared.tenant_rows import OfTenants
from registry.file_responses import file_response
from registry.models import (
    FirmwareHardware,
    FirmwareProduct,
    FirmwareRelease,
    HardwareRevision,
    Product,
)
from registry.services.firmware import create_release, delete_release, update_release


class ReleaseForm(forms.ModelForm[FirmwareRelease]):
    """A release with its products and hardware revisions."""

    products = forms.ModelMultipleChoiceField(
        Product.objects.all(), widget=searched(FirmwareProduct, "product")
    )
    hardware_revisions = forms.ModelMultipleChoiceField(
        HardwareRevision.objects.all(),
        required=False,
        widget=searched(FirmwareHardware, "hardware_revision"),
        help_text="None chosen: every revision of the products.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk is None:
            return
        for name, model in (
            ("products", Product),
            ("hardware_revisions", HardwareRevision),
        ):
            field = cast("forms.ModelMultipleChoiceField[Any]", self.fields[name])
            field.queryset = model._default_manager.filter(
                tenant=self.instance.tenant_id
            )
            self.initial[name] = list(getattr(self.instance, name).all())


@admin.register(FirmwareRelease)
class FirmwareReleaseAdmin(OfTenants, ServiceAdmin[FirmwareRelease]):
    """Versions of firmware and their files."""

    is_of_whole_tenant = True
    form = ReleaseForm
    list_display = ("version", "tenant", "made_for", "size", "created_at", "created_by")
    list_select_related = ("tenant", "created_by")
    list_filter = (TenantFilter,)
    search_fields = ("version", "sha256")
    autocomplete_fields = ("tenant",)
    ordering = ("-id",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[FirmwareRelease]:
        return super().get_queryset(request).prefetch_related("products")

    @admin.display(description="products")
    def made_for(self, row: FirmwareRelease) -> str:
        return ", ".join(product.slug for product in row.products.all())

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Offer the file field only for a new release."""
        always = ("products", "hardware_revisions", "signature", "notes")
        if obj is None:
            return ("tenant", "version", "file", *always)
        return (*self.get_readonly_fields(request, obj), *always)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Keep an existing release's version and file fixed."""
        if obj is None:
            return ()
        return (
            *("public_id", "tenant", "version", "size", "sha256"),
            *("download", "created_at", "created_by"),
        )

    def get_urls(self) -> list[URLPattern]:
        """Add the URL of the file."""
        view = self.admin_site.admin_view(self.file_view)
        name = "registry_firmwarerelease_file"
        return [path("<path:object_id>/file/", view, name=name), *super().get_urls()]

    def file_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Send the file to people who may view the release."""
        row = self.get_object(request, object_id)
        if row is None or not self.has_view_permission(request, row):
            raise Http404("There is no such release.")
        try:
            return file_response(request, row)
        except NotFound as gone:
            self.message_user(request, gone.detail, messages.ERROR)
            return redirect("admin:registry_firmwarerelease_change", row.pk)

    @admin.display(description="file")
    def download(self, row: FirmwareRelease) -> str:
        url = reverse("admin:registry_firmwarerelease_file", args=[row.pk])
        return format_html('<a href="{}">Download</a>', url)

    def save_model(
        self, request: HttpRequest, obj: FirmwareRelease, form: Any, change: bool
    ) -> None:
        if change:
            update_release(obj, changes=form.cleaned_data)
            return
        made = create_release(**form.cleaned_data, actor=actor_of(request))
        obj.pk = made.pk

    def save_related(
        self, request: HttpRequest, form: Any, formsets: Any, change: bool
    ) -> None:
        """Do nothing: the service has saved them."""

    def delete_model(self, request: HttpRequest, obj: FirmwareRelease) -> None:
        delete_release(obj)
