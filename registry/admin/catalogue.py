"""Django admin: products, their hardware revisions and batches."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from registry.admin.places import OfTenantAdmin
from registry.admin.shared.filters import TenantFilter
from registry.models import Batch, HardwareRevision, Product
from registry.services import products


class ProductForm(forms.ModelForm[Product]):
    """A product, and whether its schema is changed past its devices."""

    force = forms.BooleanField(
        required=False, label="Change the schema though devices do not fit it"
    )


@admin.register(Product)
class ProductAdmin(OfTenantAdmin):
    """Model lines, and what they declare."""

    is_of_whole_tenant = True
    form = ProductForm
    list_display = ("slug", "name", "tenant", "kind", "takes_commands")
    list_select_related = ("tenant",)
    list_filter = (TenantFilter, "kind", "takes_commands")
    autocomplete_fields = ("tenant",)

    def save_model(
        self, request: HttpRequest, obj: Product, form: Any, change: bool
    ) -> None:
        """Save through the service."""
        products.save_product(obj, force=form.cleaned_data["force"])

    def delete_model(self, request: HttpRequest, obj: Product) -> None:
        """Delete through the service."""
        products.delete_product(obj)


@admin.register(HardwareRevision)
class HardwareRevisionAdmin(OfTenantAdmin):
    """States of a product's hardware."""

    is_of_whole_tenant = True
    list_display = ("slug", "name", "tenant", "product", "created_at")
    list_select_related = ("tenant", "product")
    list_filter = (TenantFilter,)
    autocomplete_fields = ("tenant", "product")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Fix the product of what exists, too."""
        fixed = super().get_readonly_fields(request, obj)
        return fixed if obj is None else (*fixed, "product")

    def save_model(
        self, request: HttpRequest, obj: HardwareRevision, form: Any, change: bool
    ) -> None:
        """Save through the service."""
        products.save_revision(obj)

    def delete_model(self, request: HttpRequest, obj: HardwareRevision) -> None:
        """Delete through the service."""
        products.delete_revision(obj)


@admin.register(Batch)
class BatchAdmin(OfTenantAdmin):
    """What was manufactured together."""

    is_of_whole_tenant = True
    list_display = ("slug", "name", "tenant", "hardware_revision", "made_at")
    list_select_related = ("tenant", "hardware_revision")
    list_filter = (TenantFilter,)
    autocomplete_fields = ("tenant", "hardware_revision")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Fix the revision of what exists, too."""
        fixed = super().get_readonly_fields(request, obj)
        return fixed if obj is None else (*fixed, "hardware_revision")

    def save_model(
        self, request: HttpRequest, obj: Batch, form: Any, change: bool
    ) -> None:
        """Save through the service."""
        products.save_batch(obj)

    def delete_model(self, request: HttpRequest, obj: Batch) -> None:
        """Delete through the service."""
        products.delete_batch(obj)
