"""The form of a saved cohort."""

from __future__ import annotations

from typing import Any

from django import forms

from fleet.services.cohorts import (
    LARGEST_NUMBER,
    LONGEST_DESCRIPTION,
    LONGEST_NAME,
)
from iotplatform.common.problems import BadInput

FIELD_OF = {"query": "q"}  # what the services call it → what pages call it


class CohortForm(forms.Form):
    """What people change of a cohort; the service checks what it says."""

    name = forms.CharField(label="Name", max_length=LONGEST_NAME)
    owner = forms.CharField(
        label="Owner",
        required=False,
        max_length=150,
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocomplete": "off"}),
        help_text="The user name of a member: whom to ask about it.",
    )
    q = forms.CharField(
        label="Query",
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        help_text="The devices that match it now are the cohort.",
    )
    calls_at = forms.IntegerField(
        label="Call when the size crosses",
        required=False,
        min_value=1,
        max_value=LARGEST_NUMBER,
        help_text="A number of devices; empty: no call. One item, until it is back.",
    )
    description = forms.CharField(
        label="Description",
        required=False,
        max_length=LONGEST_DESCRIPTION,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What it is for, and what to do about its devices.",
    )

    calls_each = forms.BooleanField(
        label="Call for each device that enters or leaves",
        required=False,
        help_text="A work item for each, grouped in the queue.",
    )

    def changes(self) -> dict[str, Any]:
        """Return the values for the service; call this on a valid form."""
        found = dict(self.cleaned_data)
        return found | {"query": found.pop("q"), "owner": found["owner"] or None}

    def refuse(self, error: BadInput) -> None:
        """Show what the service refused at its fields."""
        for row in error.errors:
            name = FIELD_OF.get(row["field"], row["field"])
            self.add_error(name if name in self.fields else None, str(row["message"]))
