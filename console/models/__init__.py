"""Models of the console: what people work through."""

from console.models.attention import AttentionItem
from console.models.incidents import (
    Incident,
    IncidentEvent,
    IncidentInterval,
    IncidentMember,
)
from console.models.notification_rules import NotificationRule
from console.models.notifications import Notification
from console.models.playbooks import (
    Playbook,
    PlaybookRun,
    PlaybookRunDevice,
    PlaybookStep,
    PlaybookVersion,
)
from console.models.sla import SlaDay, SlaPolicy, SlaRecount
from console.models.webhooks import OutgoingEvent, Webhook, WebhookHost

__all__ = [
    "AttentionItem",
    "Incident",
    "IncidentEvent",
    "IncidentInterval",
    "IncidentMember",
    "Notification",
    "NotificationRule",
    "OutgoingEvent",
    "Playbook",
    "PlaybookRun",
    "PlaybookRunDevice",
    "PlaybookStep",
    "PlaybookVersion",
    "SlaDay",
    "SlaPolicy",
    "SlaRecount",
    "Webhook",
    "WebhookHost",
]
