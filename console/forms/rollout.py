"""The form of a rollout: waves, limits, window, health gate, offline devices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from django import forms
from django.forms import BoundField
from django.utils import timezone

from commands.definitions import UPDATE_FIRMWARE
from commands.judgment.combinations import COMBINATIONS_SCHEMA, combination_errors
from commands.judgment.gate_words import gate_terms, metric_name
from commands.judgment.health_gate import (
    LONGEST_NAME,
    METRICS,
    ROLLBACK,
    SHARES,
    STOP,
    TELEMETRY,
    complete_gate,
    gate_errors,
)
from commands.rollouts import MAX_IN_FLIGHT
from commands.validation import schema_errors
from commands.windows import DAYS, window_words
from console.forms.fields import WordsField
from iotplatform.common.counts import counted

HOUR = r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z"
# Parts of a rollout whose field here has another name.
NAMED_OTHERWISE = {
    "failure_threshold": "failure_percent",
    "success_threshold": "success_percent",
    "deadline": "deadline_hours",
    "window": "window_from",
    "health_gate": "gate_metric",
}
OFFLINE = {"wait": "wait until the deadline", "skip": "left out"}
GATES = [
    ("", "nothing: no health gate"),
    *(
        (metric, metric_name({"metric": metric, "alarm_code": None}))
        for metric in METRICS
    ),
    (TELEMETRY, "a metric of telemetry"),
]


def window_label(window: Mapping[str, Any]) -> str:
    """Return the window of a job as its pages show it."""
    return f"{window_words(window)}, local time of each site"


class CombinationsField(forms.CharField):
    """Lines of a gateway's and its children's firmware, as ``2.0 with 1.9``."""

    widget = forms.Textarea(attrs={"rows": 3, "spellcheck": "false"})

    def to_python(self, value: Any) -> Any:
        lines = (line.strip() for line in (super().to_python(value) or "").splitlines())
        return [self._read(line) for line in lines if line] or None

    def validate(self, value: Any) -> None:
        super().validate(value)
        errors = schema_errors(COMBINATIONS_SCHEMA, value, field="")
        if errors := errors or combination_errors(value or []):
            raise forms.ValidationError([error["message"] for error in errors])

    @staticmethod
    def _read(line: str) -> dict[str, str]:
        gateway, word, children = line.partition(" with ")
        if not word:
            raise forms.ValidationError(f"Write “{line}” as 2.0 with 1.9.")
        return {"gateway": gateway.strip(), "children": children.strip()}


def combination_label(combinations: Sequence[Mapping[str, str]]) -> str:
    """Return the allowed combinations as the pages of a job show them."""
    return ", ".join(
        f"{each['gateway']} with {each['children']}" for each in combinations
    )


class RolloutForm(forms.Form):
    """The rollout of a job: waves, limits, offline devices."""

    canary = forms.IntegerField(
        label="Canary devices",
        min_value=0,
        initial=1,
        help_text="They go first. 0: none.",
        widget=forms.NumberInput(attrs={"autofocus": True}),
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
    window_from = forms.RegexField(
        HOUR,
        label="Send only from",
        required=False,
        help_text="Local time of each site, as 01:00. Leave empty for any time.",
    )
    window_to = forms.RegexField(HOUR, label="until", required=False)
    window_days = WordsField(
        label="Days",
        required=False,
        help_text="The day on which it opens, as mon tue. Leave empty for every day.",
    )
    max_in_flight = forms.IntegerField(
        label="Devices without an answer at most",
        min_value=1,
        max_value=5_000,
        initial=MAX_IN_FLIGHT,
        required=False,
        help_text="So many devices at most can fail beyond the failure rate.",
    )
    gate_metric = forms.ChoiceField(
        label="Stop if updated devices get worse than the others in",
        choices=GATES,
        required=False,
        help_text="The devices of later waves are the comparison.",
    )
    gate_name = forms.CharField(
        label="Alarm code or metric",
        required=False,
        max_length=LONGEST_NAME,
        help_text="For alarms: one code, or empty for all. For telemetry: its metric.",
    )
    gate_worse_by = forms.FloatField(
        label="Tolerated difference",
        min_value=0,
        initial=0,
        required=False,
        help_text="In % of the devices; for risk and telemetry in their own unit.",
    )
    gate_on_breach = forms.ChoiceField(
        label="Then",
        choices=[(STOP, "stop"), (ROLLBACK, "stop and roll back")],
        initial=STOP,
        required=False,
    )
    combinations = CombinationsField(
        label="Allowed firmware, gateway with its children",
        required=False,
        help_text="One a line, as 2.0 with 1.9. Each step of a gateway and its children"
        " stays in one of them. Leave empty to update them independently.",
    )
    approval = forms.BooleanField(
        label="A second person must approve it before it starts", required=False
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

    def __init__(self, *args: Any, command_name: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if command_name != UPDATE_FIRMWARE:
            del self.fields["combinations"]

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
            "window": self._window(),
            "max_in_flight": self._in_flight,
            "health_gate": values["health_gate"],
            "combinations": values.get("combinations"),
            "approval": values["approval"],
            "deadline": deadline or (timezone.now() + hours).isoformat(),
        }

    def takes_error(self, error: Mapping[str, Any]) -> bool:
        """Show a refusal of the services beside its field; return if there is one."""
        name = str(error["field"]).removeprefix("rollout.").partition(".")[0]
        field = NAMED_OTHERWISE.get(name, name)
        if not self.is_bound or field not in self.fields:
            return False
        self.add_error(field, error["message"])
        return True

    def clean(self) -> dict[str, Any]:
        """Refuse half a window, and a gate that compares nothing."""
        values: dict[str, Any] = super().clean() or {}
        given = [bool(values.get(name)) for name in ("window_from", "window_to")]
        if not any(name in self.errors for name in ("window_from", "window_to")):
            if any(given) and not all(given):
                self.add_error("window_to", "Give both times, or none.")
        if values.get("window_days") and not any(given):
            self.add_error("window_days", "Days need the two times of a window.")
        values["health_gate"] = gate = self._gate(values)
        for error in gate_errors(gate):
            name = error["field"].rpartition(".")[2]
            # The metrics are a list; only the name after it is typed.
            field = f"gate_{name}" if name == "worse_by" else "gate_name"
            self.add_error(field, error["message"])
        return values

    def clean_window_days(self) -> list[str]:
        """Refuse what is no day of the week."""
        days: list[str] = [day.lower() for day in self.cleaned_data["window_days"]]
        if unknown := [day for day in days if day not in DAYS]:
            names = ", ".join(DAYS)
            raise forms.ValidationError(f"Not a day: {unknown[0]}. Days are {names}.")
        return days

    @staticmethod
    def _gate(values: Mapping[str, Any]) -> dict[str, Any] | None:
        metric, name = values.get("gate_metric"), values.get("gate_name", "").strip()
        if not metric:
            return None
        worse_by = values.get("gate_worse_by") or 0
        gate = {
            "metric": f"{TELEMETRY}{name}" if metric == TELEMETRY else metric,
            "worse_by": worse_by / 100 if metric in SHARES else worse_by,
            "on_breach": values.get("gate_on_breach") or STOP,
        }
        return gate if metric == TELEMETRY or not name else {**gate, "alarm_code": name}

    @property
    def _in_flight(self) -> int:
        return self.cleaned_data["max_in_flight"] or MAX_IN_FLIGHT

    def _window(self) -> dict[str, Any] | None:
        values = self.cleaned_data
        if not values["window_from"]:
            return None
        window = {"from": values["window_from"], "to": values["window_to"]}
        days = values["window_days"]
        return {**window, "days": days} if days else window

    def summary(self, waves: list[dict[str, Any]]) -> list[tuple[str, str]]:
        """Return the rollout as label and text, for the confirm step."""
        values = self.cleaned_data
        sizes = [wave["size"] for wave in waves]
        order = ", then ".join(f"{size:,}" for size in sizes[:4])
        if len(sizes) > 4:
            order += f", then {counted(len(sizes) - 4, 'more wave')}"
        rate, gate = values["rate_per_minute"], complete_gate(values["health_gate"])
        window, combinations = self._window(), values.get("combinations")
        return [
            ("Waves", order or "none"),
            ("Wait between waves", f"{values['soak_seconds']} s"),
            ("Rate", f"at most {rate:,} a minute" if rate else "no limit"),
            ("Stops above", f"{values['failure_percent']:g} % failed"),
            ("Pauses below", f"{values['success_percent']:g} % succeeded"),
            *([("Window", window_label(window))] if window else []),
            *([("Health gate", gate_terms(gate))] if gate else []),
            *(
                [("Gateway with its children", combination_label(combinations))]
                if combinations
                else []
            ),
            (
                "Without an answer",
                f"{values['max_in_flight'] or MAX_IN_FLIGHT:,} devices at most",
            ),
            ("Offline devices", OFFLINE[values["offline"]]),
            ("Deadline", f"{counted(values['deadline_hours'], 'hour')} from now"),
        ]

    @property
    def wave_fields(self) -> list[BoundField]:
        return [
            self[name]
            for name in (
                "canary",
                "wave_size",
                "soak_seconds",
                "rate_per_minute",
                "max_in_flight",
                "window_from",
                "window_to",
                "window_days",
            )
        ]

    @property
    def limit_fields(self) -> list[BoundField]:
        return [
            self[name] for name in ("failure_percent", "success_percent", "min_ended")
        ]

    @property
    def gate_fields(self) -> list[BoundField]:
        return [
            self[f"gate_{name}"] for name in ("metric", "name", "worse_by", "on_breach")
        ]

    @property
    def combination_fields(self) -> list[BoundField]:
        """Only an update of firmware has them."""
        return [field for field in self if field.name == "combinations"]

    @property
    def offline_fields(self) -> list[BoundField]:
        return [self[name] for name in ("offline", "deadline_hours", "approval")]
