"""The form of a device: what the registry knows, and its product's attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms

from console.forms.fields import (
    PLAIN,
    ObjectField,
    StoredJsonField,
    WordsField,
    refuse_unstorable,
)
from console.forms.params import JsonField, schema_fields, shown_value
from console.forms.registry import RegistryForm
from registry.choices import Adapter, DeviceKind
from registry.selectors.devices import get_device
from registry.selectors.places import (
    get_project,
    get_site,
    get_space,
    list_projects,
    list_sites,
    list_spaces,
)
from registry.selectors.products import get_batch, get_revision

if TYPE_CHECKING:
    from registry.models import Product

OTHERS = "other_attributes"


class DeviceForm(RegistryForm):
    """A device of a product that was chosen before; its uid stays."""

    fixed = frozenset({"uid"})

    uid = forms.CharField(
        label="Uid",
        max_length=64,
        strip=False,
        widget=forms.TextInput(attrs=PLAIN),
        help_text="Its name in topics and addresses. It cannot be changed later.",
    )
    name = forms.CharField(label="Name", max_length=200, required=False)
    serial = forms.CharField(label="Serial", max_length=64, required=False)
    site = ObjectField(get_site, listing=list_sites, label="Site")
    space = ObjectField(
        get_space,
        listing=list_spaces,
        label="Space",
        required=False,
        help_text="A space of the site.",
    )
    project = ObjectField(
        get_project,
        listing=list_projects,
        label="Project",
        required=False,
        help_text="A new device without one gets the site's.",
    )
    hardware_revision = ObjectField(
        get_revision,
        label="Hardware revision",
        required=False,
        help_text="Of the product. A batch brings its own.",
    )
    batch = ObjectField(get_batch, label="Batch", required=False)
    kind = forms.ChoiceField(label="Kind", choices=DeviceKind.choices)
    gateway = ObjectField(
        get_device,
        key="uid",
        label="Gateway",
        required=False,
        help_text="The uid of the gateway of a child device.",
    )
    adapter = forms.ChoiceField(
        label="Speaks", choices=Adapter.choices, initial=Adapter.MQTT
    )
    tags = WordsField(label="Tags", required=False, help_text="Separated by spaces.")


class AttributesForm(forms.Form):
    """Attributes of a device, made from the JSON Schema of its product.

    Each property has a field. What the schema leaves open, and what a device has
    beyond it, stands in one box for JSON.
    """

    def __init__(
        self, *args: Any, product: Product, present: dict[str, Any] | None, **kw: Any
    ) -> None:
        """``present`` are the attributes of the device, None for a new one."""
        kw["prefix"] = "attributes"
        super().__init__(*args, **kw)
        self.is_new, self.present = present is None, present or {}
        schema = product.attributes_schema
        named = schema_fields(schema)
        self.named = {} if named is None or OTHERS in named else named
        self.fields.update(self.named)
        if not self.is_new:
            for name, field in self.named.items():
                stored = self.present.get(name)
                self.initial[name] = (
                    None if stored is None else shown_value(field, stored)
                )
        others = {k: v for k, v in self.present.items() if k not in self.named}
        is_open = schema.get("additionalProperties", True) is not False
        if others or is_open or not self.named:
            self.fields[OTHERS] = StoredJsonField(
                empty=dict,
                label="Other attributes, as JSON" if self.named else "As JSON",
                initial=others,
                help_text='An object such as {"key": "value"}.',
            )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        for name in self.named.keys() & cleaned.get(OTHERS, {}).keys():
            self.add_error(OTHERS, f"“{name}” has a field of its own.")
        for name, field in self.named.items():
            if isinstance(field, JsonField):
                try:
                    refuse_unstorable(cleaned.get(name))
                except forms.ValidationError as error:
                    self.add_error(name, error)
        return cleaned

    def document(self) -> dict[str, Any]:
        """Return all attributes; those that nobody touched stay as they were."""
        found = {k: v for k, v in self.present.items() if k in self.named}
        found |= self.cleaned_data.get(OTHERS, {})
        for name, field in self.named.items():
            value = self.cleaned_data[name]
            is_unset_box = isinstance(field, forms.BooleanField) and name not in found
            if not (self.is_new or is_unset_box or name in self.changed_data):
                continue
            if value is None or value == "":
                found.pop(name, None)
            else:
                found[name] = value
        return found

    def refuse(self, path: str, message: str) -> None:
        """Show an error of ``attributes.<path>`` at its field."""
        for name in self.named:
            if path == name or path.startswith(f"{name}."):
                inner = path.removeprefix(name).removeprefix(".")
                self.add_error(name, f"{inner}: {message}" if inner else message)
                return
        text = f"{path}: {message}" if path else message
        self.add_error(OTHERS if OTHERS in self.fields else None, text)
