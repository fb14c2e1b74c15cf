"""Shapes of notification rules in the REST API."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from console.api.notification_serializers import NotificationSerializer
from console.choices import IncidentCause, TargetKind
from console.judgment.quiet_hours import DAYS
from console.models import NotificationRule
from console.services.notifications.chat import LONGEST_CHAT_URL
from console.services.notifications.edit import (
    LONGEST_NAME,
    MOST_DIGEST,
    MOST_MINUTES,
    MOST_QUIET,
)
from console.services.notifications.targets import MOST_TARGETS
from iotplatform.common.flags import FlagField
from iotplatform.common.serializers import StrictSerializer
from registry.api.serializers.fields import TenantField
from state.choices import Severity

Plain = serializers.Serializer[Any]
CLOCK = ["%H:%M"]


class TargetSerializer(Plain):
    """Somebody who is told; the address of a chat room is not shown."""

    id = serializers.CharField()
    kind = serializers.ChoiceField(choices=TargetKind.choices)
    name = serializers.CharField(
        help_text="The user name, the mail address, the chat service or the webhook."
    )
    user = serializers.CharField(required=False)
    address = serializers.CharField(required=False)
    webhook = serializers.CharField(required=False)


class TargetRequestSerializer(StrictSerializer):
    """Somebody to tell: by the field that goes with the kind."""

    id = serializers.CharField(
        max_length=36,
        required=False,
        help_text="Of a target that the rule has: a chat room keeps its address.",
    )
    kind = serializers.ChoiceField(choices=TargetKind.choices)
    user = serializers.CharField(
        max_length=150, required=False, help_text="A member, by user name."
    )
    address = serializers.CharField(
        max_length=254, required=False, help_text="A mail address."
    )
    url = serializers.CharField(
        max_length=LONGEST_CHAT_URL,
        required=False,
        trim_whitespace=False,
        help_text="A chat room, such as `slack://…`; never shown again.",
    )
    webhook = serializers.CharField(
        max_length=36, required=False, help_text="The id of a webhook."
    )


# "from" is a word of Python.
QuietHours = type(
    "QuietHoursSerializer",
    (StrictSerializer,),
    {
        "__doc__": "Hours in which only critical incidents are told.",
        "__module__": __name__,
        "days": serializers.ListField(
            child=serializers.ChoiceField(choices=DAYS),
            max_length=7,
            required=False,
            help_text="The days on which they begin; none: every day.",
        ),
        "from": serializers.TimeField(format="%H:%M", input_formats=CLOCK),
        "to": serializers.TimeField(
            format="%H:%M",
            input_formats=CLOCK,
            help_text="At or before `from`: on the next day.",
        ),
    },
)


class NotificationRuleSerializer(Plain):
    """Whom to tell of which incidents."""

    id = serializers.UUIDField(source="public_id")
    tenant = serializers.CharField(source="tenant.slug")
    name = serializers.CharField()
    severity = serializers.ChoiceField(choices=Severity.choices, help_text="At least.")
    sites = serializers.ListField(
        child=serializers.CharField(), help_text="None: all incidents."
    )
    causes = serializers.ListField(child=serializers.CharField())
    quiet_hours = serializers.ListField(child=serializers.DictField())
    time_zone = serializers.CharField()
    targets = serializers.SerializerMethodField()
    escalate_after_minutes = serializers.IntegerField(allow_null=True)
    digest_minutes = serializers.IntegerField()
    enabled = serializers.BooleanField(source="is_enabled")
    created_by = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()

    @extend_schema_field(TargetSerializer(many=True))
    def get_targets(self, row: NotificationRule) -> list[dict[str, Any]]:
        """Return the targets in the order in which they are told."""
        return [_shown(each) for each in row.targets]

    def get_created_by(self, row: NotificationRule) -> str | None:
        """Return the user name of the person who made it."""
        return row.created_by.get_username() if row.created_by else None


def _shown(target: dict[str, Any]) -> dict[str, Any]:
    shown = {name: target[name] for name in ("id", "kind", "name")}
    if target["kind"] == TargetKind.USER:
        shown["user"] = target["name"]
    elif target["kind"] == TargetKind.MAIL:
        shown["address"] = target["name"]
    elif target["kind"] == TargetKind.WEBHOOK:
        shown["webhook"] = target["webhook"]
    return shown


class NotificationRuleChangeSerializer(StrictSerializer):
    """Changes of a rule."""

    name = serializers.CharField(max_length=LONGEST_NAME, required=False)
    severity = serializers.ChoiceField(
        choices=Severity.choices, required=False, help_text="At least; else `warning`."
    )
    sites = serializers.ListField(
        child=serializers.CharField(max_length=64),
        max_length=100,
        required=False,
        help_text="Sites of which a device is in the incident; none: all incidents.",
    )
    causes = serializers.ListField(
        child=serializers.ChoiceField(choices=IncidentCause.choices),
        max_length=20,
        required=False,
        help_text="Causes of incidents; none: all.",
    )
    quiet_hours = QuietHours(
        many=True,
        max_length=MOST_QUIET,
        required=False,
        help_text="What is not critical waits for their end.",
    )
    time_zone = serializers.CharField(
        max_length=64,
        required=False,
        allow_blank=True,
        help_text="Of the quiet hours; empty: that of the incident's site, else UTC.",
    )
    targets = TargetRequestSerializer(  # type: ignore[call-arg]
        many=True,
        min_length=1,
        max_length=MOST_TARGETS,
        required=False,
        help_text="The first is told at once, the next ones by escalation.",
    )
    escalate_after_minutes = serializers.IntegerField(
        min_value=1,
        max_value=MOST_MINUTES,
        required=False,
        allow_null=True,
        help_text="Not acknowledged for so long: the next target is told.",
    )
    digest_minutes = serializers.IntegerField(
        min_value=0,
        max_value=MOST_DIGEST,
        required=False,
        help_text="What comes within so long is one message; 0: each at once.",
    )
    enabled = FlagField(source="is_enabled", required=False)


class NotificationRuleRequestSerializer(NotificationRuleChangeSerializer):
    """A new rule."""

    tenant = TenantField()
    name = serializers.CharField(max_length=LONGEST_NAME)
    targets = TargetRequestSerializer(  # type: ignore[call-arg]
        many=True,
        min_length=1,
        max_length=MOST_TARGETS,
        help_text="The first is told at once, the next ones by escalation.",
    )


class RuleTestSerializer(Plain):
    """A test of a rule: the message to each of its targets."""

    notifications = NotificationSerializer(many=True)
