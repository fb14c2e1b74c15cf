"""The form of an edit of many devices."""

from __future__ import annotations

from typing import Any

from django import forms

from console.forms.params import DocumentField
from iotplatform.common.problems import BadInput
from registry.choices import Lifecycle

LIFECYCLES = [
    ("", "as it is"),
    *(pair for pair in Lifecycle.choices if pair[0] != Lifecycle.REPLACED),
]
# What the services call a field → what the page calls it.
FIELD_OF = {
    "set.tags.add": "add_tags",
    "set.tags.remove": "remove_tags",
    "set.site": "site",
    "set.lifecycle": "lifecycle",
    "set.attributes": "attributes",
    "reason": "reason",
}


class EditForm(forms.Form):
    """What to change on every device; what is left empty stays."""

    add_tags = forms.CharField(
        label="Tags to add",
        required=False,
        max_length=2_000,
        widget=forms.TextInput(attrs={"spellcheck": "false"}),
        help_text="Separate several tags with commas or spaces.",
    )
    remove_tags = forms.CharField(
        label="Tags to remove",
        required=False,
        max_length=2_000,
        widget=forms.TextInput(attrs={"spellcheck": "false"}),
    )
    site = forms.CharField(
        label="Move to the site",
        required=False,
        max_length=64,
        widget=forms.TextInput(attrs={"spellcheck": "false"}),
        help_text="Its slug. Devices that move leave their space.",
    )
    lifecycle = forms.ChoiceField(label="Lifecycle", choices=LIFECYCLES, required=False)
    attributes = DocumentField(
        label="Attributes, as JSON",
        required=False,
        may_be_empty=True,
        help_text="Only the keys to change. null removes a key.",
    )
    reason = forms.CharField(label="Reason", max_length=1_000)

    def changes(self) -> dict[str, Any]:
        """Return ``set`` for the service; call this on a valid form."""
        values = self.cleaned_data
        tags = {
            name: values[f"{name}_tags"].replace(",", " ").split()
            for name in ("add", "remove")
        }
        found = {
            "tags": {name: given for name, given in tags.items() if given},
            **{name: values[name] for name in ("site", "lifecycle", "attributes")},
        }
        return {name: value for name, value in found.items() if value}

    def refuse(self, error: BadInput) -> None:
        """Show what the service refused at its fields."""
        for row in error.errors:
            name = str(row["field"])
            parts = name.split(".")
            known = FIELD_OF.get(name) or FIELD_OF.get(".".join(parts[:2]))
            text = str(row["message"])
            if known == "attributes" and len(parts) > 2:
                text = f"{'.'.join(parts[2:])}: {text}"
            self.add_error(known, text)


class TypedCountForm(forms.Form):
    """The number of devices, typed by the person who changes them."""

    typed_count = forms.IntegerField(label="Number of devices")

    def __init__(self, count: int, *args: Any, **kwargs: Any) -> None:
        kwargs["use_required_attribute"] = False
        super().__init__(*args, **kwargs)
        self.count = count
        self.fields["typed_count"].help_text = f"Type {count} to confirm."

    def clean_typed_count(self) -> int:
        """Refuse any other number."""
        typed = int(self.cleaned_data["typed_count"])
        if typed != self.count:
            message = f"This changes {self.count:,} devices, not {typed:,}."
            raise forms.ValidationError(message)
        return typed
