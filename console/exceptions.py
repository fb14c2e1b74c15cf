"""Refusals of the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from iotplatform.common.problems import Conflict, NotFound

if TYPE_CHECKING:
    from console.models import Incident


class NoSuchIncident(NotFound):
    """There is no such incident for this caller."""

    def __init__(self) -> None:
        super().__init__("There is no such incident.")


class IncidentTaken(Conflict):
    """Somebody was first; ``incident`` is the incident as it stands."""

    def __init__(self, incident: Incident, detail: str) -> None:
        self.incident = incident
        ended = incident.resolved_at
        super().__init__(
            detail,
            assignee=incident.assignee and incident.assignee.get_username(),
            closed_at=ended and ended.isoformat(),
        )

    def show(self, document: dict[str, Any]) -> None:
        """Put the incident into the answer: whole, and what has no name of a problem's.

        ``status`` and ``title`` of the answer are the problem's own.
        """
        self.extra = {
            **{k: v for k, v in document.items() if k not in ("status", "title")},
            "incident": document,
        }


class PolicyExists(Conflict):
    """The tenant has a policy for this severity."""


class NoSuchPolicy(NotFound):
    """There is no such SLA policy for this caller."""

    def __init__(self) -> None:
        super().__init__("There is no such SLA policy.")


class NoSuchPlaybook(NotFound):
    """The caller sees no playbook with this id."""


class PlaybookRefused(Conflict):
    """The playbook is built in, or its name is taken."""


class NoSuchRun(NotFound):
    """The caller sees no run with this id, or it has no such step."""


class RunRefused(Conflict):
    """The run, or its step, does not wait for this."""


class NoSuchWebhook(NotFound):
    """The caller sees no webhook, or no allowed host, with this id."""


class WebhookRefused(Conflict):
    """The name is taken, there are too many, or the message still waits."""


class NoSuchRule(NotFound):
    """The caller sees no notification rule with this id."""

    def __init__(self) -> None:
        super().__init__("There is no such notification rule.")


class RuleRefused(Conflict):
    """The name is taken, or there are too many."""


class NoSuchNotification(NotFound):
    """The caller sees no notification with this id."""
