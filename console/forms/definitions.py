"""The form of a tenant's own command."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.forms import BoundField

from commands.choices import CommandClass, Danger
from commands.services.definitions import CALLED
from console.forms.params import CLASS_LABELS, JsonField

if TYPE_CHECKING:
    from registry.models import Product, Tenant

# Columns whose empty value is an empty object; an empty expectation is none at all.
OBJECTS = ("params_schema", "policy", "reactions")
COLUMN_OF = {name: column for column, name in CALLED.items()}
ALL_PRODUCTS = "all products of {}"


class SourceField(JsonField):
    """A box for a JSON document that is shown again as it was written."""

    def __init__(self, *, rows: int, **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)
        self.widget.attrs |= {"rows": rows, "class": "mono"}

    def prepare_value(self, value: Any) -> Any:
        """Show a document of the database as text; what was typed stays."""
        if value is None or isinstance(value, str):
            return value or ""
        return json.dumps(value, indent=2, ensure_ascii=False)


class DefinitionForm(forms.Form):
    """What a command is; its place (tenant and product) is chosen once."""

    place = forms.ChoiceField(label="For")
    name = forms.CharField(
        label="Name",
        max_length=64,
        widget=forms.TextInput(attrs={"spellcheck": "false"}),
        help_text="The devices get it. Letters, digits, - and _.",
    )
    description = forms.CharField(label="Description", max_length=500, required=False)
    command_class = forms.ChoiceField(
        label="Class",
        choices=CommandClass.choices,
        initial=CommandClass.OPERATION,
        help_text="How it behaves for an offline device, and what “done” means.",
    )
    danger = forms.ChoiceField(
        label="Before it is sent, a person must",
        choices=[
            (value, "do nothing more" if value == Danger.NONE else label)
            for value, label in Danger.choices
        ],
    )
    is_repeatable = forms.BooleanField(
        label="Repeatable",
        required=False,
        help_text="A device that received it may be sent it again.",
    )
    needs_approval = forms.BooleanField(
        label="Needs an approval",
        required=False,
        help_text="A second person must approve it before it is sent.",
    )
    params_schema = SourceField(
        label="Parameters",
        rows=12,
        help_text="A JSON Schema. The console's form of the command follows it.",
    )
    policy = SourceField(
        label="Policy",
        rows=5,
        help_text="What differs from the policy of the class, such as"
        ' {"attempts": 5, "on_failure": {"no_ack": "retry_later"}}.',
    )
    expectation = SourceField(
        label="Expected report",
        rows=4,
        help_text="What the device must report for it to be verified, such as"
        ' {"valve": "{{ params.position }}"}. Empty: executed is enough.',
    )
    reactions = SourceField(
        label="Reactions to error codes",
        rows=4,
        help_text='What follows a code of the device, such as {"E42": "retry_later"}.',
    )

    def __init__(
        self,
        *args: Any,
        tenants: Sequence[Tenant] = (),
        products: Sequence[Product] = (),
        is_fixed: bool,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.places: dict[str, tuple[Tenant, Product | None]] = {
            f"{tenant.slug}/": (tenant, None) for tenant in tenants
        }
        for row in products:
            self.places[f"{row.tenant.slug}/{row.slug}"] = (row.tenant, row)
        field = self.fields["place"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [
            (key, key if product else ALL_PRODUCTS.format(tenant.slug))
            for key, (tenant, product) in self.places.items()
        ]
        if is_fixed:  # a definition keeps its tenant and product
            del self.fields["place"]

    def clean(self) -> dict[str, Any]:
        """Turn an empty box into an empty object."""
        cleaned = super().clean() or self.cleaned_data
        for name in OBJECTS:
            if name in cleaned and cleaned[name] is None:
                cleaned[name] = {}
        return cleaned

    def chosen(self) -> tuple[Tenant, Product | None]:
        """Return the place of a new definition; call this on a valid form."""
        return self.places[self.cleaned_data["place"]]

    def fields_to_save(self) -> dict[str, Any]:
        """Return the fields for the services; call this on a valid form."""
        return {k: v for k, v in self.cleaned_data.items() if k != "place"}

    def add_refusals(self, errors: Sequence[dict[str, Any]]) -> None:
        """Show what a service refused beside its field, with the place within it."""
        for error in errors:
            name, _, inner = str(error["field"]).partition(".")
            name = COLUMN_OF.get(name, name)
            if name in ("tenant", "product"):
                name = "place"
            text = f"{inner}: {error['message']}" if inner else str(error["message"])
            self.add_error(name if name in self.fields else None, text)

    @property
    def about_fields(self) -> list[BoundField]:
        names = ("place", "name", "description", "command_class", "danger")
        return [self[name] for name in names if name in self.fields]

    @property
    def rule_fields(self) -> list[BoundField]:
        return [self[name] for name in ("is_repeatable", "needs_approval")]

    @property
    def document_fields(self) -> list[BoundField]:
        return [
            self[n] for n in ("params_schema", "policy", "expectation", "reactions")
        ]

    @property
    def class_labels(self) -> list[tuple[str, str]]:
        """What each class means."""
        return [(label, CLASS_LABELS[value]) for value, label in CommandClass.choices]
