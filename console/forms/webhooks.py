"""The form of a webhook."""

from __future__ import annotations

from django import forms

from console.forms.fields import PLAIN

# Offered in the form; the API knows every single type.
EVENTS = {
    "alarms": "alarms: raised, acknowledged, cleared",
    "commands": "commands: every change of their status",
    "jobs": "jobs: started, paused, stopped, completed",
    "connectivity": "connectivity: online, offline, stale",
    "incidents": "incidents: opened, acknowledged, resolved",
}


class WebhookForm(forms.Form):
    """What a new webhook is called, where it sends, and what; the service checks it."""

    name = forms.CharField(
        label="Name",
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    url = forms.CharField(
        label="Address",
        max_length=2_000,
        widget=forms.URLInput(
            attrs=PLAIN
            | {"class": "mono", "placeholder": "https://hooks.example.com/iot"}
        ),
    )
    events = forms.MultipleChoiceField(
        label="Events",
        choices=list(EVENTS.items()),
        initial=["alarms"],
        error_messages={"required": "Choose one or more."},
    )
