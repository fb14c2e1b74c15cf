"""The JSON of incidents, and the bodies of what people do with them."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from commands.api.serializers.commands import ObjectField
from console.choices import IncidentCause, IncidentEventKind, IncidentStatus
from console.judgment.advice import Step
from console.presenters.incidents import ShownIncident
from iotplatform.common.instants import InstantField
from state.choices import Severity

Plain = serializers.Serializer[Any]


class IncidentObjectSerializer(Plain):
    """What an incident is about."""

    kind = serializers.CharField(source="object_kind")
    id = serializers.CharField(source="object_id")
    name = serializers.CharField(source="object_name")


class AffectedSerializer(Plain):
    """The devices of an incident."""

    count = serializers.IntegerField()
    query = serializers.CharField(help_text="A fleet search that finds them.")


class AlarmsSerializer(Plain):
    """The alarms of an incident's devices."""

    count = serializers.IntegerField(
        source="alarm_count", help_text="Open ones, the most at a time."
    )


class AdviceSerializer(Plain):
    """What to do next."""

    step = serializers.ChoiceField(choices=[step.value for step in Step])
    text = serializers.CharField()
    reason = serializers.CharField()


class ChangeSerializer(Plain):
    """Something that was changed before an incident."""

    at = serializers.DateTimeField()
    kind = serializers.CharField()
    text = serializers.CharField()
    share = serializers.FloatField(help_text="Of the incident's devices, 0 to 1.")
    object = ObjectField()


class IncidentEventSerializer(Plain):
    """One thing that happened to an incident."""

    at = serializers.DateTimeField()
    kind = serializers.ChoiceField(choices=IncidentEventKind.choices)
    actor = serializers.SerializerMethodField()
    text = serializers.CharField()

    def get_actor(self, event: Any) -> str | None:
        """Return the user name; null: it happened by itself."""
        return event.actor.get_username() if event.actor else None


class IncidentSerializer(Plain):
    """An incident; a list leaves out its diagnosis and what was changed before."""

    id = serializers.UUIDField(source="row.public_id")
    number = serializers.IntegerField(
        source="row.number", help_text="Within the tenant."
    )
    tenant = serializers.CharField(source="row.tenant.slug")
    cause = serializers.ChoiceField(choices=IncidentCause.choices, source="row.cause")
    object = IncidentObjectSerializer(source="row")
    title = serializers.CharField(source="row.title")
    severity = serializers.ChoiceField(choices=Severity.choices, source="row.severity")
    status = serializers.ChoiceField(
        choices=IncidentStatus.choices, source="row.status"
    )
    regressed = serializers.BooleanField(
        source="row.regressed", help_text="It came back within an hour of its end."
    )
    assignee = serializers.SerializerMethodField()
    opened_at = serializers.DateTimeField(source="row.opened_at")
    first_evidence_at = serializers.DateTimeField(source="row.first_evidence_at")
    acknowledged_at = serializers.DateTimeField(
        source="row.acknowledged_at", allow_null=True
    )
    snoozed_until = serializers.DateTimeField(
        source="row.snoozed_until", allow_null=True
    )
    resolved_at = serializers.DateTimeField(source="row.resolved_at", allow_null=True)
    acknowledge_due_at = serializers.DateTimeField(
        source="row.acknowledge_due_at",
        allow_null=True,
        help_text="Null: the tenant has no policy, or the clock stands.",
    )
    resolve_due_at = serializers.DateTimeField(
        source="row.resolve_due_at", allow_null=True
    )
    absorbed_by = serializers.SerializerMethodField()
    devices = AffectedSerializer()
    alarms = AlarmsSerializer(source="row")
    diagnosis = serializers.SerializerMethodField()
    advice = AdviceSerializer()
    changes = ChangeSerializer(many=True)
    events = IncidentEventSerializer(many=True)

    def get_assignee(self, shown: ShownIncident) -> str | None:
        """Return the user name of the person who has claimed it."""
        assignee = shown.row.assignee
        return assignee.get_username() if assignee else None

    def get_absorbed_by(self, shown: ShownIncident) -> str | None:
        """Return the id of the incident that it is a part of."""
        wide = shown.row.absorbed_by
        return str(wide.public_id) if wide else None

    @extend_schema_field(ObjectField(allow_null=True))
    def get_diagnosis(self, shown: ShownIncident) -> Any:
        return shown.diagnosis


class AssignSerializer(Plain):
    assignee = serializers.CharField(help_text="A member's user name.")


class SnoozeSerializer(Plain):
    until = InstantField()


class NoteSerializer(Plain):
    text = serializers.CharField(max_length=4_000)


class ResolveSerializer(Plain):
    cause = serializers.CharField(
        max_length=200, required=False, default="", allow_blank=True
    )
    text = serializers.CharField(
        max_length=4_000, required=False, default="", allow_blank=True
    )


class MergeSerializer(Plain):
    into = serializers.CharField(help_text="The id of an open incident.")
