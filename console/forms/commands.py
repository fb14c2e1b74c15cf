"""Forms of the job wizard and of the device page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms

from commands.choices import Danger
from console.forms.fields import PLAIN, errors_of, refuse
from console.forms.params import confirmed_field
from iotplatform.common.counts import counted
from registry.choices import MOVES, Lifecycle
from registry.exceptions import MoveRefused, NoSuchObject
from state.choices import Observation

if TYPE_CHECKING:
    from iotplatform.common.problems import Problem
    from registry.models import Device

TYPED_ABOVE = 20  # devices: a mistake with more is expensive


class FeedbackForm(forms.Form):
    """A report of people on site."""

    observation = forms.ChoiceField(
        label="What do people on site see?", choices=Observation.choices
    )
    note = forms.CharField(
        label="Note",
        required=False,
        max_length=2_000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Who saw it, and where?",
    )


class MoveForm(forms.Form):
    """A change of a device's lifecycle; the service knows which are allowed."""

    to = forms.ChoiceField(choices=Lifecycle.choices)
    replaced_by = forms.CharField(
        label="Replaced by (uid, only for “replaced”)",
        required=False,
        max_length=64,
        widget=forms.TextInput(attrs=PLAIN | {"class": "mono"}),
    )
    reason = forms.CharField(label="Reason", max_length=500, required=False)

    def __init__(self, found: Device, data: Any = None) -> None:
        super().__init__(data)
        now = Lifecycle(found.lifecycle)
        self.fields["to"].label = f"From {now.label} to"
        moves = [(value.value, Lifecycle(value).label) for value in sorted(MOVES[now])]
        self.fields["to"].widget.choices = moves
        self.fields["reason"].widget.attrs["required"] = True

    def refuse(self, error: Problem) -> None:
        """Show what the service refused at its field."""
        errors = errors_of(error)
        place = {MoveRefused: "to", NoSuchObject: "replaced_by"}.get(type(error), "")
        if "" in errors:
            errors[place] = errors.pop("")
        refuse(self, errors)


class ConfirmForm(forms.Form):
    """The confirm step: a name, and what large sets and dangerous commands ask for."""

    name = forms.CharField(
        label="Job name",
        max_length=200,
        widget=forms.TextInput(attrs={"autofocus": True}),
    )
    typed_count = forms.IntegerField(label="Number of devices", required=False)

    def __init__(self, count: int, *, danger: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count = count
        if danger == Danger.CONFIRM:
            self.fields["confirmed"] = confirmed_field()
        if count > TYPED_ABOVE or danger == Danger.TYPE_COUNT:
            self.fields["typed_count"].required = True
            self.fields["typed_count"].help_text = f"Type {count} to confirm."
        else:
            del self.fields["typed_count"]

    def clean_typed_count(self) -> int:
        """Refuse a number that differs from the preview."""
        typed = self.cleaned_data["typed_count"]
        if typed != self.count:
            raise forms.ValidationError(
                f"The job goes to {counted(self.count, 'device')}, not {typed}."
            )
        return int(typed)
