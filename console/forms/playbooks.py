"""The form of a playbook: its steps are JSON, checked step by step."""

from __future__ import annotations

import json
from typing import Any

from django import forms

from console.services.playbooks.edit import LONGEST_DESCRIPTION, LONGEST_NAME
from console.services.playbooks.runs import HIGHEST_RATE, USUAL_RATE

# What a new playbook begins with, so that nobody has to know the form of a step.
FIRST_STEPS: list[dict[str, Any]] = [
    {"kind": "check", "query": "connectivity:online"},
    {"kind": "send", "command": {"name": "reboot", "params": {}}},
    {"kind": "wait", "seconds": 60},
    {"kind": "ask", "question": "Does it work again?", "answers": ["Yes", "No"]},
]


class PlaybookForm(forms.Form):
    """Name, description and steps."""

    name = forms.CharField(label="Name", max_length=LONGEST_NAME)
    description = forms.CharField(
        label="When to use it",
        max_length=LONGEST_DESCRIPTION,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    steps = forms.CharField(
        label="Steps",
        widget=forms.Textarea(
            attrs={"rows": 22, "spellcheck": "false", "class": "mono"}
        ),
        help_text="A list in JSON. Kinds: check, send, wait, ask, note, branch,"
        " escalate.",
    )

    def clean_steps(self) -> Any:
        """Return the steps as a document; the service checks what they say."""
        try:
            return json.loads(self.cleaned_data["steps"])
        except (ValueError, RecursionError) as error:
            where = getattr(error, "lineno", None)
            place = f" in line {where}" if where else ""
            raise forms.ValidationError(f"Not JSON{place}.") from error


class RunForm(forms.Form):
    """On which devices a playbook runs."""

    query = forms.CharField(
        label="Devices that match",
        max_length=2_000,
        widget=forms.TextInput(attrs={"spellcheck": "false", "class": "mono"}),
        help_text="A query of the fleet. The devices that match now take part.",
    )
    rate_per_minute = forms.IntegerField(
        label="Devices a minute",
        min_value=1,
        max_value=HIGHEST_RATE,
        initial=USUAL_RATE,
    )


def steps_text(steps: Any) -> str:
    """Return steps as the form shows them."""
    return json.dumps(steps, indent=2, ensure_ascii=False)
