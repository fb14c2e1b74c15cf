"""Forms of the job wizard and of the device page."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django import forms
from django.forms import BoundField
from django.utils import timezone

from commands.choices import CommandClass
from commands.definitions import DEFINITIONS, Definition
from iotplatform.common.counts import counted
from state.choices import Observation

CLASS_LABELS: dict[str, str] = {
    CommandClass.CONTROL: "Needs an online device; refused at once otherwise.",
    CommandClass.CONFIG: "Waits for an offline device; a newer one replaces it.",
    CommandClass.JOB: "Waits until the deadline; verified by what the device reports.",
    CommandClass.OPERATION: "Waits for an offline device, for a limited time.",
}
OFFLINE = {"wait": "wait until the deadline", "skip": "left out"}
SCALARS: dict[str, type[forms.Field]] = {
    "integer": forms.IntegerField,
    "number": forms.FloatField,
    "string": forms.CharField,
    "boolean": forms.BooleanField,
}


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


class ParamsForm(forms.Form):
    """Parameters of one command, made from its JSON Schema.

    A schema with named properties gets one field for each. An open schema (a merge
    patch) gets one field for JSON, and a closed one without properties gets none.
    """

    def __init__(self, definition: Definition, *args: Any, **kwargs: Any) -> None:
        # Fields of commands that are not chosen are hidden and must not block the form.
        kwargs["use_required_attribute"] = False
        kwargs["prefix"] = definition.name
        super().__init__(*args, **kwargs)
        self.definition = definition
        schema = definition.params_schema
        properties: dict[str, Any] = schema.get("properties", {})
        is_open = schema.get("additionalProperties", True) is not False
        self.is_document = not properties and is_open
        if self.is_document:
            self.fields["params"] = forms.CharField(
                label="Settings to change, as JSON",
                widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
                initial='{\n  "interval": 30\n}',
                help_text="Only the keys to change. null removes a key.",
            )
        for name, rule in properties.items():
            self.fields[name] = _field(
                name, rule, is_required=name in schema.get("required", ())
            )

    def clean_params(self) -> Any:
        """Refuse input that is not a JSON object, with the position of the error."""
        text = self.cleaned_data["params"]
        try:
            value = json.loads(text)
        except ValueError as error:
            raise forms.ValidationError(f"This is not valid JSON: {error}.") from error
        if not isinstance(value, dict) or not value:
            raise forms.ValidationError(
                'Enter an object with at least one key, such as {"interval": 30}.'
            )
        return value

    def params(self) -> dict[str, Any]:
        """Return the parameters of the command, without empty fields."""
        if self.is_document:
            return dict(self.cleaned_data["params"])
        return {
            name: value
            for name, value in self.cleaned_data.items()
            if value is not None and value != ""
        }


def _field(name: str, rule: dict[str, Any], *, is_required: bool) -> forms.Field:
    kind = SCALARS.get(str(rule.get("type")), forms.CharField)
    limits: dict[str, Any] = {}
    if kind in (forms.IntegerField, forms.FloatField):
        limits = {"min_value": rule.get("minimum"), "max_value": rule.get("maximum")}
    elif kind is forms.CharField:
        limits = {"max_length": rule.get("maxLength")}
    label = name.replace("_seconds", ", seconds").replace("_", " ")
    hint = "" if is_required else "Optional."
    if "minimum" in rule and "maximum" in rule:
        hint = f"{rule['minimum']:,} to {rule['maximum']:,}. {hint}".strip()
    return kind(
        label=label.capitalize(), required=is_required, help_text=hint, **limits
    )


def command_choices(chosen: str, data: Any = None) -> list[dict[str, Any]]:
    """Return all commands with their forms; only the chosen one is bound to data."""
    return [
        {
            "name": definition.name,
            "description": definition.description,
            "class_label": CLASS_LABELS[definition.command_class],
            "is_chosen": definition.name == chosen,
            "form": ParamsForm(definition, data if definition.name == chosen else None),
        }
        for definition in DEFINITIONS.values()
    ]


def chosen_form(name: str, data: Any) -> ParamsForm | None:
    """Return the bound form of the chosen command; None for an unknown name."""
    definition = DEFINITIONS.get(name)
    return ParamsForm(definition, data) if definition else None


class RolloutForm(forms.Form):
    """The rollout of a job: waves, limits, offline devices."""

    canary = forms.IntegerField(
        label="Canary devices",
        min_value=0,
        initial=1,
        help_text="They go first. 0: none.",
    )
    wave_size = forms.IntegerField(label="Devices per wave", min_value=1, initial=50)
    soak_seconds = forms.IntegerField(
        label="Wait between waves, seconds",
        min_value=0,
        max_value=604_800,
        initial=10,
        help_text="Time to watch a wave before the next one starts.",
    )
    rate_per_minute = forms.IntegerField(
        label="Maximum per minute",
        min_value=1,
        required=False,
        help_text="Leave empty for no limit.",
    )
    failure_percent = forms.FloatField(
        label="Stop above this failure rate, %",
        min_value=0,
        max_value=100,
        initial=20,
        help_text="Share of the finished devices of a wave. Nothing more is sent then.",
    )
    success_percent = forms.FloatField(
        label="Pause below this success rate, %",
        min_value=0,
        max_value=100,
        initial=80,
        help_text="A person decides whether the job continues.",
    )
    min_ended = forms.IntegerField(
        label="Check results after N devices have finished",
        min_value=1,
        initial=10,
        help_text="Or when the whole wave has finished.",
    )
    offline = forms.ChoiceField(
        label="Offline devices",
        choices=list(OFFLINE.items()),
        initial="wait",
    )
    deadline_hours = forms.FloatField(
        label="Deadline, hours from now",
        min_value=0.05,
        max_value=720,
        initial=24,
        help_text="Commands that have not finished by then expire.",
    )

    def as_rollout(self, *, deadline: str | None = None) -> dict[str, Any]:
        """Return the rollout for the services; call this on a valid form."""
        values = self.cleaned_data
        hours = timedelta(hours=values["deadline_hours"])
        return {
            "canary": values["canary"] or None,
            "wave_size": values["wave_size"],
            "rate_per_minute": values["rate_per_minute"],
            "soak_seconds": values["soak_seconds"],
            "min_ended": values["min_ended"],
            "failure_threshold": values["failure_percent"] / 100,
            "success_threshold": values["success_percent"] / 100,
            "offline": values["offline"],
            "deadline": deadline or (timezone.now() + hours).isoformat(),
        }

    def summary(self, waves: list[dict[str, Any]]) -> list[tuple[str, str]]:
        """Return the rollout as label and text, for the confirm step."""
        values = self.cleaned_data
        sizes = [wave["size"] for wave in waves]
        order = ", then ".join(f"{size:,}" for size in sizes[:4])
        if len(sizes) > 4:
            order += f", then {counted(len(sizes) - 4, 'more wave')}"
        rate = values["rate_per_minute"]
        return [
            ("Waves", order or "none"),
            ("Wait between waves", f"{values['soak_seconds']} s"),
            ("Rate", f"at most {rate:,} a minute" if rate else "no limit"),
            ("Stops above", f"{values['failure_percent']:g} % failed"),
            ("Pauses below", f"{values['success_percent']:g} % succeeded"),
            ("Offline devices", OFFLINE[values["offline"]]),
            ("Deadline", f"{counted(values['deadline_hours'], 'hour')} from now"),
        ]

    @property
    def wave_fields(self) -> list[BoundField]:
        return [
            self[name]
            for name in ("canary", "wave_size", "soak_seconds", "rate_per_minute")
        ]

    @property
    def limit_fields(self) -> list[BoundField]:
        return [
            self[name] for name in ("failure_percent", "success_percent", "min_ended")
        ]

    @property
    def offline_fields(self) -> list[BoundField]:
        return [self[name] for name in ("offline", "deadline_hours")]


class ConfirmForm(forms.Form):
    """The confirm step: a name, and for large sets the typed number of devices."""

    name = forms.CharField(label="Job name", max_length=200)
    typed_count = forms.IntegerField(label="Number of devices", required=False)

    def __init__(self, count: int, *, is_typed: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count = count
        if is_typed:
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
