"""The job wizard: command, devices and risk, waves, confirm.

The form carries all input from step to step, so nothing is stored before the last one.
The preview is carried as count and hash: if the set of devices has changed since, the
confirm step shows the difference and asks again.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render

from commands.choices import JobStatus
from commands.definitions import Definition
from commands.services.jobs import start_job
from console.forms.commands import ConfirmForm
from console.forms.params import ParamsForm, chosen_form, command_choices
from console.forms.rollout import RolloutForm
from console.presenters.job_target import (
    NoTarget,
    Target,
    describe_change,
    headline,
    present_preview,
    read_target,
    seen_of,
)
from console.presenters.search_results import fleet_url
from console.scope import ConsoleRequest, page
from fleet.exceptions import IndexUnavailable, TargetMoved
from fleet.services.jobs import JobRequest, launch_job, preview_job
from iotplatform.common.ids import new_public_id
from iotplatform.common.problems import BadInput, Problem

STEPS = {
    "command": "Command",
    "scope": "Devices and risk",
    "waves": "Waves",
    "confirm": "Confirm",
}
ORDER = (*STEPS, "launch")


@page
def new_job(request: ConsoleRequest) -> HttpResponse:
    """Show the requested step, or the first incomplete one before it."""
    data = request.POST if request.method == "POST" else request.GET
    try:
        target = read_target(data, request.scope)
        asked = data.get("step", "command")
        known = target.commands  # may have resolved the devices
        # The first step shows no more than a number.
        size = target.count() if asked == "command" else len(target.resolved.members)
    except (NoTarget, BadInput, IndexUnavailable) as error:
        messages.error(request, getattr(error, "detail", str(error)))
        if data.get("cohort"):  # its page says what is wrong with its query
            return redirect("console:cohort", data["cohort"])
        return redirect(fleet_url(q=data.get("q")))
    if not size:
        messages.error(request, "No devices match any more.")
        return redirect(fleet_url(q=target.query))
    wizard = Wizard(request, target, size, known)
    return wizard.show(asked if asked in ORDER else "command")


class Wizard:
    """One request of the wizard: the input so far, and the step to draw."""

    def __init__(
        self,
        request: ConsoleRequest,
        target: Target,
        size: int,
        known: dict[str, Definition],
    ) -> None:
        self.request = request
        self.target = target
        self.size = size
        self.data = request.POST
        self.name = self.data.get("command", "")
        self.known = known
        self.params: ParamsForm | None = chosen_form(known, self.name, self.data)
        has_rollout = "wave_size" in self.data
        self.rollout = RolloutForm(
            self.data if has_rollout else None, command_name=self.name
        )

    def show(self, asked: str) -> HttpResponse:
        """Draw the step, or an earlier one with its errors."""
        place = ORDER.index(asked)
        if place >= 1 and (self.params is None or not self.params.is_valid()):
            return self._command(is_wrong=True)
        if place >= 3 and not self.rollout.is_valid():
            return self._waves(is_wrong=True)
        if asked == "command":
            return self._command()
        try:
            if asked == "launch":
                return self._launch()
            return {"scope": self._scope, "waves": self._waves}.get(
                asked, self._confirm
            )()
        except Problem as error:
            return self._refused(error)

    def _command(self, *, is_wrong: bool = False) -> HttpResponse:
        error = "Choose a command." if is_wrong and self.params is None else ""
        chosen = self.name or "set_config"
        data = self.data if self.name else None
        return self._draw(
            "command",
            status=422 if is_wrong else 200,
            choices=command_choices(self.known, chosen, data),
            command_error=error,
        )

    def _scope(self) -> HttpResponse:
        return self._draw("scope", preview=self._preview())

    def _waves(self, *, is_wrong: bool = False) -> HttpResponse:
        return self._draw(
            "waves",
            status=422 if is_wrong else 200,
            preview=self._preview(),
            rollout=self.rollout,
        )

    def _confirm(
        self,
        *,
        confirm: ConfirmForm | None = None,
        problem: dict[str, Any] | None = None,
        status: int = 200,
    ) -> HttpResponse:
        preview = self._preview(self.rollout.as_rollout())
        initial = {"name": self.data.get("name") or self._suggested_name()}
        confirm = confirm or ConfirmForm(
            preview["targets"], danger=self.known[self.name].danger, initial=initial
        )
        return self._draw(
            "confirm",
            status=status,
            preview=preview,
            confirm=confirm,
            problem=problem,
            summary=self.rollout.summary(preview["waves"]),
            command=self.name,
            needs_approval=self.known[self.name].needs_approval
            or self.rollout.cleaned_data["approval"],
            params=self._params(),
            promised=[
                ("expected_hash", preview["target_hash"]),
                ("expected_count", str(preview["targets"])),
                ("deadline_at", self.rollout.as_rollout()["deadline"]),
                ("key", self.data.get("key") or str(new_public_id())),
            ],
        )

    def _launch(self) -> HttpResponse:
        count = self.data.get("expected_count", "")
        expected = int(count) if count.isascii() and count.isdigit() else -1
        danger = self.known[self.name].danger
        confirm = ConfirmForm(expected, danger=danger, data=self.data)
        if not confirm.is_valid():
            return self._confirm(confirm=confirm, status=422)
        try:
            job, _ = launch_job(
                self._request(
                    confirm.cleaned_data["name"],
                    self.rollout.as_rollout(deadline=self.data.get("deadline_at")),
                    self.data.get("expected_hash", ""),
                ),
                actor=self.request.user,
                idempotency_key=f"console-{self.data.get('key', '')}",
            )
        except TargetMoved as error:
            problem = {
                "title": "The devices have changed since the preview.",
                "text": f"{error.detail} The current devices are shown below.",
                "gone": error.extra.get("gone"),
                "added": error.extra.get("added"),
            }
            return self._confirm(problem=problem, status=409)
        if job.status == JobStatus.DRAFT:  # else this is a repeated click
            start_job(job=job, actor=self.request.user)
        return redirect("console:job", job.public_id)

    def _refused(self, error: Problem) -> HttpResponse:
        """Show a refusal of the services on the step where it can be corrected."""
        elsewhere = [row for row in error.errors if not self.rollout.takes_error(row)]
        text = "; ".join(f"{row['field']}: {row['message']}" for row in elsewhere)
        beside = "" if elsewhere else "Correct what is marked below."
        text = text or (beside if error.errors else error.detail)
        problem = {"title": "This job cannot be created.", "text": text}
        step = "waves" if self.rollout.errors else "command"
        extra: dict[str, Any] = {"rollout": self.rollout}
        if step == "waves":
            extra["preview"] = self._preview()
        else:
            extra["choices"] = command_choices(self.known, self.name, self.data)
        return self._draw(step, status=error.status, problem=problem, **extra)

    def _preview(self, rollout: dict[str, Any] | None = None) -> dict[str, Any]:
        request = self._request("preview", rollout or {}, None)
        has_window = bool(request.rollout.get("window"))
        return present_preview(preview_job(request), has_window=has_window)

    def _request(
        self, name: str, rollout: dict[str, Any], expected_hash: str | None
    ) -> JobRequest:
        return JobRequest(
            tenant=self.target.tenant,
            name=name,
            source=self.target.source,
            command={"name": self.name, "params": self._params()},
            rollout=rollout,
            expected_hash=expected_hash,
            targets=self.target.resolved,
        )

    def _params(self) -> dict[str, Any]:
        if self.params is None or not self.params.is_valid():
            return {}
        return self.params.params()

    def _suggested_name(self) -> str:
        where = self.target.query or self.target.label
        return f"{self.name} for {where}"[:200]

    def _draw(
        self,
        step: str,
        *,
        status: int = 200,
        promised: list[tuple[str, str]] | None = None,
        **extra: Any,
    ) -> HttpResponse:
        place = list(STEPS).index(step)
        preview = extra.get("preview")
        seen = seen_of(preview) if preview else {"seen_matched": str(self.size)}
        context = {
            "step": step,
            "target": self.target,
            "back_url": fleet_url(q=self.target.query or "*"),
            "headline": headline(
                self.size, preview, is_listed="devices" in self.target.source
            ),
            "changed": describe_change(self.data, preview) if preview else "",
            "steps": [
                {"label": label, "is_here": name == step, "is_done": number < place}
                for number, (name, label) in enumerate(STEPS.items())
            ],
            "carried": [*self._carried(step), *seen.items(), *(promised or [])],
            **extra,
        }
        return render(self.request, "console/jobs/new.html", context, status=status)

    def _carried(self, step: str) -> list[tuple[str, str]]:
        """The values of the other steps, as hidden fields of this one."""
        pairs = list(self.target.carried)
        if step == "command":
            pairs = [pair for pair in pairs if pair[0] != "tenant"]
        if step != "command" and self.params is not None:
            pairs.append(("command", self.name))
            pairs += [(f.html_name, f.value() or "") for f in self.params]
        if step != "waves" and self.rollout.is_bound:
            pairs += [(f.html_name, f.value() or "") for f in self.rollout]
        if step != "confirm" and self.data.get("name"):
            pairs.append(("name", self.data["name"]))
        return [(name, str(value)) for name, value in pairs]
