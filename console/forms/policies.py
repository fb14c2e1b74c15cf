"""The form of a standing policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.utils.text import Truncator

from console.forms.params import DocumentField
from fleet.policy_templates import VARIABLES
from fleet.services.policies import LONGEST_NAME
from iotplatform.common.problems import BadInput

if TYPE_CHECKING:
    from fleet.models import Cohort, StandingPolicy


SHOWN = 28  # characters of a cohort's name


class PolicyForm(forms.Form):
    """What people give of a policy; the service checks what it says."""

    name = forms.CharField(label="Name", max_length=LONGEST_NAME)
    cohort = forms.ChoiceField(
        label="Cohort",
        help_text="Each of its devices, and each that joins, gets what you enter here.",
    )
    desired = DocumentField(
        label="Configuration, as JSON",
        required=False,
        may_be_empty=True,
        help_text="In texts, {{ device.uid }} and the like are filled in: "
        + ", ".join(VARIABLES)
        + ".",
    )
    release = forms.CharField(
        label="Or a firmware version",
        required=False,
        max_length=64,
        widget=forms.TextInput(attrs={"spellcheck": "false"}),
    )
    priority = forms.IntegerField(
        label="Priority",
        min_value=-1_000,
        max_value=1_000,
        initial=0,
        help_text="Of two policies that want a key of a device, the higher decides.",
    )
    rate_per_minute = forms.IntegerField(
        label="Devices per minute", min_value=1, max_value=60_000, initial=600
    )
    is_enabled = forms.BooleanField(label="Switched on", required=False, initial=True)

    def __init__(self, cohorts: Sequence[Cohort], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Of a longer name, the end would stand under the arrow of the box.
        choices = [
            (str(row.public_id), Truncator(row.name).chars(SHOWN)) for row in cohorts
        ]
        self.fields["cohort"].choices = choices  # type: ignore[attr-defined]

    def changes(self) -> dict[str, Any]:
        """Return the values for the service; call this on a valid form."""
        found = dict(self.cleaned_data)
        return found | {
            "desired": found["desired"] or None,
            "release": found["release"] or None,
        }

    def refuse(self, error: BadInput) -> None:
        """Show what the service refused at its fields."""
        for row in error.errors:
            name, _, key = str(row["field"]).partition(".")
            text = f"{key}: {row['message']}" if key else str(row["message"])
            self.add_error(name if name in self.fields else None, text)


def shown_values(policy: StandingPolicy) -> dict[str, Any]:
    """Return what the form of a policy begins with."""
    return {
        "name": policy.name,
        "cohort": str(policy.cohort.public_id),
        "desired": policy.desired,
        "release": policy.firmware_version,
        "priority": policy.priority,
        "rate_per_minute": policy.rate_per_minute,
        "is_enabled": policy.is_enabled,
    }
