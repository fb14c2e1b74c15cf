"""Forms of the job wizard and of the device page."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.forms import BoundField
from django.utils import timezone

from commands.choices import Danger
from console.forms.params import confirmed_field
from iotplatform.common.counts import counted
from state.choices import Observation

TYPED_ABOVE = 20  # devices: a mistake with more is expensive
OFFLINE = {"wait": "wait until the deadline", "skip": "left out"}


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
    """The confirm step: a name, and what large sets and dangerous commands ask for."""

    name = forms.CharField(label="Job name", max_length=200)
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
