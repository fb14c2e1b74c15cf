"""The forms of products, hardware revisions and batches."""

from __future__ import annotations

from django import forms

from console.forms.fields import ObjectField, StoredJsonField, WordsField
from console.forms.registry import SluggedForm
from registry.choices import DeviceKind
from registry.selectors.products import (
    get_product,
    get_revision,
    list_products,
    list_revisions,
)

SECONDS = "%Y-%m-%dT%H:%M:%S"


def notes_field() -> forms.CharField:
    """Return the field for notes of a revision, a batch or a release."""
    box = forms.Textarea(attrs={"rows": 3})
    return forms.CharField(label="Notes", max_length=10_000, required=False, widget=box)


def moment_field(**kwargs: object) -> forms.DateTimeField:
    """Return a field for a time, in the zone of the reader and to the second."""
    attrs = {"type": "datetime-local", "step": "1"}
    widget = forms.DateTimeInput(attrs=attrs, format=SECONDS)
    return forms.DateTimeField(widget=widget, **kwargs)  # type: ignore[arg-type]


class ProductForm(SluggedForm):
    """A model line, and what it declares about its devices."""

    only_later = frozenset({"force"})

    kind = forms.ChoiceField(label="Kind", choices=DeviceKind.choices)
    heartbeat_seconds = forms.IntegerField(
        label="Heartbeat, seconds", min_value=1, max_value=86_400, initial=60
    )
    takes_commands = forms.BooleanField(
        label="Takes commands", required=False, initial=True
    )
    attributes_schema = StoredJsonField(
        empty=dict,
        label="Schema of the attributes",
        help_text="A JSON Schema; devices must match it. “searchable”: true makes an"
        " attribute searchable.",
    )
    force = forms.BooleanField(
        label="Change the schema even if devices do not match it", required=False
    )
    config_schema = StoredJsonField(
        empty=dict,
        label="Schema of the configuration",
        help_text="A JSON Schema: what may be set on its devices. Empty: anything.",
    )
    metrics = StoredJsonField(
        empty=list,
        label="Metrics",
        help_text='A list such as [{"name": "temperature", "unit": "°C"}].',
    )
    reported_keys = WordsField(
        label="Searchable reported keys",
        required=False,
        help_text="Dotted names, separated by spaces.",
    )


class RevisionForm(SluggedForm):
    """A version of a product's hardware; it stays with its product."""

    fixed = frozenset({"product"})

    product = ObjectField(get_product, listing=list_products, label="Product")
    notes = notes_field()


class BatchForm(SluggedForm):
    """Devices that were made together; it stays with its hardware revision."""

    fixed = frozenset({"hardware_revision"})

    hardware_revision = ObjectField(
        get_revision, listing=list_revisions, label="Hardware revision"
    )
    made_at = moment_field(label="Made at", required=False)
    notes = notes_field()
