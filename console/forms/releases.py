"""The forms of firmware releases and of enrolment keys."""

from __future__ import annotations

from typing import Any

from django import forms

from console.forms.catalogue import moment_field, notes_field
from console.forms.fields import PLAIN, ObjectField, ObjectsField
from console.forms.registry import RegistryForm
from registry.selectors.places import get_site, list_sites
from registry.selectors.products import (
    get_batch,
    get_product,
    list_batches,
    list_products,
    list_revisions,
)
from registry.validators import validate_version


class ReleaseForm(RegistryForm):
    """A firmware release; its version and file never change."""

    fixed = frozenset({"version", "file"})

    version = forms.CharField(
        label="Version",
        max_length=64,
        strip=False,
        validators=[validate_version],
        widget=forms.TextInput(attrs=PLAIN),
        help_text="As the devices report it, for example 1.5.0.",
    )
    file = forms.FileField(
        label="File", help_text="Size and SHA-256 are measured here."
    )
    products = ObjectsField(
        listing=list_products,
        label="Products",
        help_text="Slugs, separated by spaces.",
    )
    hardware_revisions = ObjectsField(
        listing=list_revisions,
        label="Hardware revisions",
        required=False,
        help_text="Revisions of these products. Empty: all of them.",
    )
    signature = forms.CharField(
        label="Signature",
        max_length=4_096,
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text="Passed on to the devices, which check it.",
    )
    notes = notes_field()

    def shown(self, row: Any) -> dict[str, Any]:
        lists = {
            name: list(getattr(row, name).all())
            for name in ("products", "hardware_revisions")
        }
        return super().shown(row) | lists


class EnrolmentKeyForm(RegistryForm):
    """A key for a number of devices, until a date."""

    fixed = frozenset({"product", "batch"})

    name = forms.CharField(
        label="Name",
        max_length=100,
        required=False,
        help_text="A new key without one gets the names of its product and site.",
    )
    product = ObjectField(
        get_product,
        listing=list_products,
        label="Product",
        required=False,
        help_text="Empty: the batch's.",
    )
    batch = ObjectField(
        get_batch,
        listing=list_batches,
        label="Batch",
        required=False,
        help_text="Empty: any device of the product.",
    )
    site = ObjectField(
        get_site,
        listing=list_sites,
        label="Site",
        help_text="Where devices that register themselves belong.",
    )
    max_devices = forms.IntegerField(label="Devices at most", min_value=1)
    expires_at = moment_field(label="Valid until")
