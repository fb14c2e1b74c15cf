"""What people type on the job wizard and on the device page."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from django import forms
from django.forms import BoundField
from django.utils import timezone

from commands.choices import CommandClass
from commands.definitions import DEFINITIONS, Definition
from state.choices import Observation

CLASS_WORDS = {
    CommandClass.CONTROL: "Real time: refused at once unless the device is online.",
    CommandClass.CONFIG: "Waits for an offline device; the latest one wins.",
    CommandClass.JOB: "Waits inside the job's window, verified by what is reported.",
    CommandClass.OPERATION: "Waits for an offline device, for a bounded time.",
}
OFFLINE = {"wait": "waits until the deadline", "skip": "is left out"}
SCALARS: dict[str, type[forms.Field]] = {
    "integer": forms.IntegerField,
    "number": forms.FloatField,
    "string": forms.CharField,
    "boolean": forms.BooleanField,
}


class FeedbackForm(forms.Form):
    """What people at the device see."""

    observation = forms.ChoiceField(
        label="What does the field see?", choices=Observation.choices
    )
    note = forms.CharField(
        label="Note",
        required=False,
        max_length=2_000,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Who saw it, and where.",
    )


class ParamsForm(forms.Form):
    """Parameters of one command, made from its JSON Schema.

    A schema that names its properties gets a field for each; an open one (a merge
    patch) gets one field for the JSON itself.
    """

    def __init__(self, definition: Definition, *args: Any, **kwargs: Any) -> None:
        # The fields of a command that is not chosen are hidden: they must not block.
        kwargs["use_required_attribute"] = False
        kwargs["prefix"] = definition.name
        super().__init__(*args, **kwargs)
        self.definition = definition
        schema = definition.params_schema
        properties: dict[str, Any] = schema.get("properties", {})
        self.is_document = not properties
        if self.is_document:
            self.fields["params"] = forms.CharField(
                label="Configuration to merge, JSON",
                widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
                initial='{\n  "interval": 30\n}',
                help_text="Keys that are set, with their values; null takes one away.",
            )
        for name, rule in properties.items():
            self.fields[name] = _field(
                name, rule, is_required=name in schema.get("required", ())
            )

    def clean_params(self) -> Any:
        """Refuse what is not a JSON object, saying where it goes wrong."""
        text = self.cleaned_data["params"]
        try:
            value = json.loads(text)
        except ValueError as error:
            raise forms.ValidationError(f"This is not JSON: {error}.") from error
        if not isinstance(value, dict) or not value:
            raise forms.ValidationError(
                'Write an object with at least one key, such as {"interval": 30}.'
            )
        return value

    def params(self) -> dict[str, Any]:
        """Return the command's parameters; empty fields are left out."""
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
    label = name.replace("_seconds", ", s").replace("_", " ")
    hint = "" if is_required else "May be left empty."
    if "minimum" in rule and "maximum" in rule:
        hint = f"{rule['minimum']:,} to {rule['maximum']:,}. {hint}".strip()
    return kind(
        label=label.capitalize(), required=is_required, help_text=hint, **limits
    )


def command_choices(chosen: str, data: Any = None) -> list[dict[str, Any]]:
    """Return every command with its form; only the chosen one's is bound to data."""
    return [
        {
            "name": definition.name,
            "words": definition.description,
            "class_words": CLASS_WORDS[definition.command_class],
            "is_chosen": definition.name == chosen,
            "form": ParamsForm(definition, data if definition.name == chosen else None),
        }
        for definition in DEFINITIONS.values()
    ]


def chosen_form(name: str, data: Any) -> ParamsForm | None:
    """Return the bound form of the chosen command, or None where there is none."""
    definition = DEFINITIONS.get(name)
    return ParamsForm(definition, data) if definition else None


class RolloutForm(forms.Form):
    """How a job is released, and when it stops by itself."""

    canary = forms.IntegerField(
        label="Canary, devices", min_value=0, initial=1, help_text="Go first. 0: none."
    )
    wave_size = forms.IntegerField(label="Wave size, devices", min_value=1, initial=50)
    soak_seconds = forms.IntegerField(
        label="Soak between waves, s",
        min_value=0,
        max_value=604_800,
        initial=10,
        help_text="How long a wave is watched before the next.",
    )
    rate_per_minute = forms.IntegerField(
        label="At most per minute",
        min_value=1,
        required=False,
        help_text="Empty: no limit.",
    )
    failure_percent = forms.FloatField(
        label="Stop above, % failed",
        min_value=0,
        max_value=100,
        initial=20,
        help_text="Failed ÷ ended of a wave. Nothing more is sent then.",
    )
    success_percent = forms.FloatField(
        label="Pause below, % succeeded",
        min_value=0,
        max_value=100,
        initial=80,
        help_text="A person decides whether it goes on.",
    )
    min_ended = forms.IntegerField(
        label="Judge after, ended",
        min_value=1,
        initial=10,
        help_text="Or a whole wave.",
    )
    offline = forms.ChoiceField(
        label="A device that is offline",
        choices=list(OFFLINE.items()),
        initial="wait",
    )
    deadline_hours = forms.FloatField(
        label="Deadline, hours from now",
        min_value=0.05,
        max_value=720,
        initial=24,
        help_text="What has not ended by then is expired.",
    )

    def as_rollout(self, *, deadline: str | None = None) -> dict[str, Any]:
        """Return the rollout as the services take it; call once it is valid."""
        said = self.cleaned_data
        hours = timedelta(hours=said["deadline_hours"])
        return {
            "canary": said["canary"] or None,
            "wave_size": said["wave_size"],
            "rate_per_minute": said["rate_per_minute"],
            "soak_seconds": said["soak_seconds"],
            "min_ended": said["min_ended"],
            "failure_threshold": said["failure_percent"] / 100,
            "success_threshold": said["success_percent"] / 100,
            "offline": said["offline"],
            "deadline": deadline or (timezone.now() + hours).isoformat(),
        }

    def summary(self, waves: list[dict[str, Any]]) -> list[tuple[str, str]]:
        """Return the rollout in words, for the last look."""
        said = self.cleaned_data
        sizes = [wave["size"] for wave in waves]
        order = ", then ".join(f"{size:,}" for size in sizes[:4])
        if len(sizes) > 4:
            order += f", then {len(sizes) - 4} more waves"
        rate = said["rate_per_minute"]
        return [
            ("Waves", order or "none"),
            ("Between waves", f"{said['soak_seconds']} s"),
            ("Rate", f"at most {rate:,} a minute" if rate else "no limit"),
            ("Stops by itself", f"above {said['failure_percent']:g} % failed"),
            ("Pauses by itself", f"below {said['success_percent']:g} % succeeded"),
            ("Offline devices", OFFLINE[said["offline"]]),
            ("Deadline", f"{said['deadline_hours']:g} hours from now"),
        ]

    @property
    def wave_fields(self) -> list[BoundField]:
        """The first card."""
        return [
            self[name]
            for name in ("canary", "wave_size", "soak_seconds", "rate_per_minute")
        ]

    @property
    def limit_fields(self) -> list[BoundField]:
        """The second card."""
        return [
            self[name] for name in ("failure_percent", "success_percent", "min_ended")
        ]

    @property
    def offline_fields(self) -> list[BoundField]:
        """The third card."""
        return [self[name] for name in ("offline", "deadline_hours")]


class ConfirmForm(forms.Form):
    """The last word: a name, and the count typed by hand above the threshold."""

    name = forms.CharField(label="Name of the job", max_length=200)
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
        """Refuse another number than what was previewed."""
        typed = self.cleaned_data["typed_count"]
        if typed != self.count:
            raise forms.ValidationError(
                f"It goes to {self.count} devices, not to {typed}."
            )
        return int(typed)
