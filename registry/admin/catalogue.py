"""Django admin: products, their hardware revisions and batches."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from registry.admin.places import OfTenantAdmin
from registry.admin.shared.filters import TenantFilter
from registry.models import Batch, HardwareRevision, Product
from registry.services import products


class ProductForm(forms.ModelForm[Product]):
    """A product, and whether to change its schema despite unfitting devices."""

    class Meta:
        help_texts: ClassVar = {
            "attributes_schema": "A JSON Schema of the attributes that devices of this"
            ' product have: {"properties": {"battery_rev": {"type": "string",'
            ' "searchable": true}}}. Searchable ones are fields of the fleet search.',
            "config_schema": "A JSON Schema of the configuration that devices of this"
            ' product understand: {"properties": {"interval": {"type": "integer",'
            ' "minimum": 1}}, "additionalProperties": false}. Changes of the'
            " configuration are checked against it, and asked for in a form that is"
            " made from it.",
            "metrics": 'What devices measure: a list such as [{"name": "temperature",'
            ' "unit": "°C", "dead_band": 0.5}]. The index follows a change larger than'
            " the dead band.",
            "reported_keys": "Keys of the reported document that the search knows:"
            ' a list such as ["interval", "modem.firmware"].',
            "heartbeat_seconds": "Devices send a sign of life this often; after two"
            " missed ones a device is suspect.",
        }

    force = forms.BooleanField(
        required=False, label="Change the schema even if devices do not match it"
    )


@admin.register(Product)
class ProductAdmin(OfTenantAdmin):
    """Model lines, and what they declare."""

    delete_row = staticmethod(products.delete_product)
    is_of_whole_tenant = True
    form = ProductForm
    list_display = ("slug", "name", "tenant", "kind", "takes_commands")
    list_select_related = ("tenant",)
    list_filter = (TenantFilter, "kind", "takes_commands")
    autocomplete_fields = ("tenant",)

    def save_model(
        self, request: HttpRequest, obj: Product, form: Any, change: bool
    ) -> None:
        products.save_product(obj, force=form.cleaned_data["force"])


@admin.register(HardwareRevision)
class HardwareRevisionAdmin(OfTenantAdmin):
    """Versions of a product's hardware."""

    fixed = ("tenant", "product")
    save_row = staticmethod(products.save_revision)
    delete_row = staticmethod(products.delete_revision)
    is_of_whole_tenant = True
    list_display = ("slug", "name", "tenant", "product", "created_at")
    list_select_related = ("tenant", "product")
    list_filter = (TenantFilter,)
    autocomplete_fields = ("tenant", "product")


@admin.register(Batch)
class BatchAdmin(OfTenantAdmin):
    """Devices that were manufactured together."""

    fixed = ("tenant", "hardware_revision")
    save_row = staticmethod(products.save_batch)
    delete_row = staticmethod(products.delete_batch)
    is_of_whole_tenant = True
    list_display = ("slug", "name", "tenant", "hardware_revision", "made_at")
    list_select_related = ("tenant", "hardware_revision")
    list_filter = (TenantFilter,)
    autocomplete_fields = ("tenant", "hardware_revision")
