"""The form of a notification rule."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, cast

from django import forms

from console.choices import IncidentCause, TargetKind
from console.forms.fields import PLAIN
from console.judgment.quiet_hours import DAYS
from console.services.notifications.edit import (
    LONGEST_NAME,
    MOST_DIGEST,
    MOST_MINUTES,
)
from console.services.notifications.targets import FIELD_OF, MOST_TARGETS
from iotplatform.common.problems import Problem
from state.choices import Severity

if TYPE_CHECKING:
    from console.models import NotificationRule, Webhook
    from console.services.notifications.edit import RuleFields

SPARE_TARGETS = 3  # empty rows in the form
PLACEHOLDER = "user name, mail address, slack://…, or webhook"


class NotificationRuleForm(forms.Form):
    """What people give of a rule; the service checks what it says."""

    name = forms.CharField(label="Name", max_length=LONGEST_NAME)
    severity = forms.ChoiceField(
        label="Severity, at least", choices=Severity.choices, initial=Severity.WARNING
    )
    sites = forms.CharField(
        label="Sites",
        required=False,
        max_length=7_000,
        widget=forms.TextInput(attrs=PLAIN),
        help_text="Their short names, with commas; empty: all incidents.",
    )
    escalate_after_minutes = forms.IntegerField(
        label="Next target after, minutes",
        required=False,
        min_value=1,
        max_value=MOST_MINUTES,
        help_text="While nobody acknowledges; empty: only the first target is told.",
    )
    digest_minutes = forms.IntegerField(
        label="Collect for, minutes",
        min_value=0,
        max_value=MOST_DIGEST,
        initial=0,
        help_text="What comes meanwhile is one message; 0: each at once.",
    )
    quiet_from = forms.TimeField(
        label="Quiet from",
        required=False,
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
        help_text="Critical incidents are told even then.",
    )
    quiet_to = forms.TimeField(
        label="Quiet until",
        required=False,
        widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"),
    )
    time_zone = forms.CharField(
        label="Time zone of the quiet hours",
        required=False,
        max_length=64,
        widget=forms.TextInput(attrs=PLAIN | {"placeholder": "Europe/Berlin"}),
        help_text="Empty: that of the incident's site.",
    )
    is_enabled = forms.BooleanField(label="Switched on", required=False, initial=True)
    causes = forms.MultipleChoiceField(
        label="Causes of incidents (none: all)",
        choices=IncidentCause.choices,
        required=False,
    )
    quiet_days = forms.MultipleChoiceField(
        label="Quiet hours begin on (none: every day)",
        choices=[(day, day.capitalize()) for day in DAYS],
        required=False,
    )

    def __init__(
        self, row: NotificationRule | None, webhooks: Iterable[Webhook], data: Any
    ) -> None:
        super().__init__(data, initial=_shown(row) if row else None)
        self.kept = row.targets if row else []
        self.webhooks = {each.name: str(each.public_id) for each in webhooks}
        self.has_simple_hours = row is None or len(row.quiet_hours) <= 1
        if not self.has_simple_hours:
            for name in ("quiet_from", "quiet_to", "quiet_days"):
                del self.fields[name]
        self.target_count = min(len(self.kept) + SPARE_TARGETS, MOST_TARGETS)
        for number in range(1, self.target_count + 1):
            self._add_target(number)

    def _add_target(self, number: int) -> None:
        kept: dict[str, Any] = (
            self.kept[number - 1] if number <= len(self.kept) else {"kind": ""}
        )
        is_chat = kept["kind"] == TargetKind.CHAT
        self.fields[f"kind_{number}"] = forms.ChoiceField(
            label=f"Kind {number}",
            choices=[("", "nobody"), *TargetKind.choices],
            required=False,
            initial=kept["kind"],
        )
        note = f"{kept['name']}: empty keeps its address." if is_chat else ""
        self.fields[f"whom_{number}"] = forms.CharField(
            label=f"Target {number}",
            required=False,
            max_length=1_000,
            strip=True,
            initial="" if is_chat else kept.get("name", ""),
            help_text=note,
            widget=forms.TextInput(attrs=PLAIN | {"placeholder": PLACEHOLDER}),
        )

    def targets(self) -> list[tuple[Any, Any]]:
        """Return the bound fields of each target."""
        numbers = range(1, self.target_count + 1)
        return [(self[f"kind_{n}"], self[f"whom_{n}"]) for n in numbers]

    def plain_fields(self) -> list[Any]:
        """Return the fields that are drawn one after the other."""
        apart = ("kind_", "whom_", "causes", "quiet_days")
        return [field for field in self if not field.name.startswith(apart)]

    def clean(self) -> dict[str, Any]:
        found = super().clean() or {}
        begin, end = found.get("quiet_from"), found.get("quiet_to")
        if (begin is None) != (end is None) and not self.errors:
            name = "quiet_to" if end is None else "quiet_from"
            self.add_error(name, "Quiet hours have a begin and an end.")
        return found

    def changes(self) -> RuleFields:
        """Return the values for the service; call this on a valid form."""
        found = self.cleaned_data
        plain = ("name", "severity", "causes", "time_zone", "is_enabled")
        changes = {name: found[name] for name in plain}
        sites = [slug.strip() for slug in found["sites"].split(",")]
        changes["sites"] = [slug for slug in sites if slug]
        changes["escalate_after_minutes"] = found["escalate_after_minutes"]
        changes["digest_minutes"] = found["digest_minutes"]
        self.numbers = [
            n for n in range(1, self.target_count + 1) if found[f"kind_{n}"]
        ]
        changes["targets"] = [self._target(number) for number in self.numbers]
        if self.has_simple_hours:
            hours = {"from": found["quiet_from"], "to": found["quiet_to"]}
            hours["days"] = found["quiet_days"]
            changes["quiet_hours"] = [hours] if found["quiet_from"] else []
        return cast("RuleFields", changes)

    def _target(self, number: int) -> dict[str, Any]:
        kind = TargetKind(self.cleaned_data[f"kind_{number}"])
        whom = self.cleaned_data[f"whom_{number}"]
        if kind == TargetKind.WEBHOOK:
            whom = self.webhooks.get(whom, whom)
        target = {"kind": kind, FIELD_OF[kind]: whom}
        kept = self.kept[number - 1] if number <= len(self.kept) else None
        if kept is not None and kept["kind"] == kind == TargetKind.CHAT and not whom:
            target["id"] = kept["id"]
        return target

    def refuse(self, error: Problem) -> None:
        """Show what the service refused at its fields."""
        for row in error.errors or [{"field": "", "message": error.detail}]:
            name, _, rest = str(row["field"]).partition(".")
            if name == "targets" and rest:
                name = f"whom_{self.numbers[int(rest.partition('.')[0])]}"
            name = {"targets": "kind_1", "quiet_hours": "quiet_from"}.get(name, name)
            self.add_error(name if name in self.fields else None, str(row["message"]))


def _shown(row: NotificationRule) -> dict[str, Any]:
    """Return what the form of a rule begins with."""
    hours = row.quiet_hours[0] if row.quiet_hours else {}
    return {
        "name": row.name,
        "severity": row.severity,
        "sites": ", ".join(row.sites),
        "causes": row.causes,
        "escalate_after_minutes": row.escalate_after_minutes,
        "digest_minutes": row.digest_minutes,
        "quiet_from": hours.get("from"),
        "quiet_to": hours.get("to"),
        "quiet_days": hours.get("days", []),
        "time_zone": row.time_zone,
        "is_enabled": row.is_enabled,
    }
