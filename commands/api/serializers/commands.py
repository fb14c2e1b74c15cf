"""Commands and timelines in the REST API."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from commands.choices import (
    AttemptOutcome,
    CommandClass,
    CommandStatus,
    FailureClass,
)
from commands.models import Command
from iotplatform.common.serializers import StrictSerializer

Plain = serializers.Serializer[Any]


@extend_schema_field(OpenApiTypes.OBJECT)
class ObjectField(serializers.JSONField):
    """A JSON object; anything else is refused."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, dict):
            raise serializers.ValidationError("Must be a JSON object.")
        return super().to_internal_value(data)


def with_class(fields: dict[str, Any]) -> dict[str, Any]:
    """Rename a field to ``class``, which Python does not allow as a name."""
    return {
        "class" if name == "command_class" else name: _sourced(name, field)
        for name, field in fields.items()
    }


def _sourced(name: str, field: Any) -> Any:
    if name == "command_class":
        field.source = "command_class"
    return field


class AttemptSerializer(Plain):
    """One attempt at delivery."""

    number = serializers.IntegerField()
    adapter = serializers.CharField()
    claimed_at = serializers.DateTimeField()
    sent_at = serializers.DateTimeField(allow_null=True)
    received_at = serializers.DateTimeField(allow_null=True)
    outcome = serializers.ChoiceField(choices=AttemptOutcome.choices)
    error = serializers.CharField()


class CommandEventSerializer(Plain):
    """One change of a command: when, the new status, by whom, why."""

    at = serializers.DateTimeField()
    status = serializers.ChoiceField(choices=CommandStatus.choices)
    actor = serializers.CharField()
    cause = serializers.CharField()
    detail = serializers.JSONField(allow_null=True)


class DeviceFileSerializer(Plain):
    """A file that the device uploaded."""

    name = serializers.CharField()
    size = serializers.IntegerField()
    url = serializers.URLField()


class CommandSerializer(Plain):
    """A command; the context carries the request, and by key ``attempts``, ``events``
    and ``files``.
    """

    id = serializers.UUIDField(source="public_id")
    tenant = serializers.CharField(source="tenant.slug")
    device = serializers.CharField(source="device.uid")
    name = serializers.CharField()
    command_class = serializers.ChoiceField(choices=CommandClass.choices)
    params = ObjectField()
    policy = ObjectField()
    job = serializers.SerializerMethodField()
    retry_of = serializers.SerializerMethodField()
    requested_by = serializers.SerializerMethodField()
    status = serializers.ChoiceField(choices=CommandStatus.choices)
    status_since = serializers.DateTimeField()
    waits_for = serializers.SerializerMethodField()
    failure_class = serializers.SerializerMethodField()
    late = serializers.BooleanField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    sent_at = serializers.DateTimeField(allow_null=True)
    received_at = serializers.DateTimeField(allow_null=True)
    running_at = serializers.DateTimeField(allow_null=True)
    succeeded_at = serializers.DateTimeField(allow_null=True)
    verified_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    needs_approval = serializers.BooleanField()
    approved_at = serializers.DateTimeField(allow_null=True)
    expectation = serializers.JSONField(allow_null=True)
    desired_version = serializers.IntegerField(allow_null=True)
    result = serializers.JSONField(allow_null=True)
    attempts = serializers.SerializerMethodField()
    events = serializers.SerializerMethodField()
    files = serializers.SerializerMethodField()

    def get_fields(self) -> dict[str, Any]:
        """Rename a field to ``class``, which Python does not allow as a name above."""
        return with_class(super().get_fields())

    @extend_schema_field(DeviceFileSerializer(many=True))
    def get_files(self, command: Command) -> list[dict[str, Any]]:
        """Return the files that the device has uploaded."""
        request = self.context["request"]
        return [
            {
                "name": file.name,
                "size": file.size,
                "url": request.build_absolute_uri(
                    f"/api/v1/commands/{command.public_id}/files/{file.public_id}/"
                ),
            }
            for file in self.context["files"].get(command.pk, [])
        ]

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_job(self, command: Command) -> str | None:
        """Return the id of the job that created it."""
        return str(command.job.public_id) if command.job else None

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_retry_of(self, command: Command) -> str | None:
        """Return the id of the ended command that it replaces."""
        return str(command.retry_of.public_id) if command.retry_of else None

    def get_requested_by(self, command: Command) -> str | None:
        """Return the name of the person who requested it."""
        return command.requested_by.get_username() if command.requested_by else None

    def get_waits_for(self, command: Command) -> str | None:
        """Return what a held command waits for, such as device, time or approval."""
        return command.waits_for if command.status == CommandStatus.HELD else None

    @extend_schema_field(
        serializers.ChoiceField(choices=FailureClass.choices, allow_null=True)
    )
    def get_failure_class(self, command: Command) -> str | None:
        """Return why it failed."""
        return command.failure_class or None

    @extend_schema_field(AttemptSerializer(many=True))
    def get_attempts(self, command: Command) -> Any:
        """Return the attempts at delivery."""
        rows = self.context["attempts"].get(command.pk, [])
        return self._attempts.to_representation(rows)

    @extend_schema_field(CommandEventSerializer(many=True))
    def get_events(self, command: Command) -> Any:
        """Return the events."""
        rows = self.context["events"].get(command.pk, [])
        return self._events.to_representation(rows)

    # Created once per list: each instance copies every field, a thousand times a page.
    @cached_property
    def _attempts(self) -> Any:
        return AttemptSerializer(many=True)

    @cached_property
    def _events(self) -> Any:
        return CommandEventSerializer(many=True)


class CommandRequestSerializer(StrictSerializer):
    """A request for one command."""

    tenant = serializers.CharField(required=False)
    device = serializers.CharField(max_length=64)
    name = serializers.CharField(max_length=64)
    params = ObjectField(default=dict)
    policy = ObjectField(required=False, allow_null=True, default=None)


class ReasonSerializer(StrictSerializer):
    """The reason for an action."""

    reason = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=1_000
    )


class TimelineEntrySerializer(Plain):
    """One entry of a device's merged timeline."""

    at = serializers.DateTimeField()
    kind = serializers.ChoiceField(
        choices=[
            *("registry", "lifecycle", "connectivity", "alarm", "command"),
            *("desired", "reported", "feedback", "maintenance"),
        ]
    )
    title = serializers.CharField()
    cause = serializers.CharField()
    actor = serializers.CharField()
    detail = serializers.JSONField(allow_null=True)


class TimelineSerializer(Plain):
    """A page of a device's merged timeline."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = TimelineEntrySerializer(many=True)
