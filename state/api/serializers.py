"""Serializers of the REST API of state."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from iotplatform.common.serializers import StrictSerializer
from state.choices import (
    AlarmMove,
    AlarmReason,
    AlarmState,
    KnownBy,
    Severity,
    Trouble,
    Verdict,
)
from state.models import Alarm, AlarmChange, FieldFeedback
from state.selectors.alarms import describe_flapping

MOST_AT_ONCE = 1_000  # alarms of one request: they are locked until it ends


class AlarmSerializer(serializers.ModelSerializer[Alarm]):
    """An alarm with its device and its times."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    tenant = serializers.CharField(source="tenant.slug", read_only=True)
    device = serializers.CharField(source="device.uid", read_only=True)
    acknowledged_by = serializers.CharField(
        source="acknowledged_by.username",
        default=None,
        allow_null=True,
        read_only=True,
    )

    rule = serializers.UUIDField(
        source="rule.public_id", default=None, allow_null=True, read_only=True
    )
    flapping = serializers.SerializerMethodField()
    text = serializers.SerializerMethodField(
        help_text="A sentence if the alarm comes and goes; else empty."
    )

    class Meta:
        model = Alarm
        fields = (
            "id",
            "tenant",
            "device",
            "code",
            "severity",
            "state",
            "message",
            "count",
            "raised_at",
            "last_at",
            "acknowledged_at",
            "acknowledged_by",
            "cleared_at",
            "rule",
            "flapping",
            "flapping_since",
            "flaps",
            "text",
        )

    def get_flapping(self, alarm: Alarm) -> bool:
        """Whether it is kept open because it comes and goes."""
        is_open = alarm.state != AlarmState.CLEARED
        return is_open and alarm.flapping_since is not None

    def get_text(self, alarm: Alarm) -> str:
        return describe_flapping(alarm)


class AlarmChangeSerializer(serializers.Serializer[AlarmChange]):
    """One change of an alarm: what happened, when, why and by whom."""

    at = serializers.DateTimeField()
    move = serializers.ChoiceField(choices=AlarmMove.choices)
    reason = serializers.ChoiceField(choices=AlarmReason.choices)
    text = serializers.CharField(source="get_reason_display")
    severity = serializers.ChoiceField(choices=Severity.choices)
    count = serializers.IntegerField()
    message = serializers.CharField()
    by = serializers.CharField(source="by.username", default=None, allow_null=True)


class AcknowledgeSerializer(StrictSerializer):
    """Which alarms to acknowledge."""

    ids = serializers.ListField(
        child=serializers.UUIDField(), min_length=1, max_length=MOST_AT_ONCE
    )


class AcknowledgedSerializer(serializers.Serializer[object]):
    """How many alarms were acknowledged now, and all of them as they are."""

    acknowledged = serializers.IntegerField()
    alarms = AlarmSerializer(many=True)


class AlarmWithHistorySerializer(AlarmSerializer):
    """An alarm with its changes."""

    history = AlarmChangeSerializer(many=True)

    class Meta(AlarmSerializer.Meta):
        fields = (*AlarmSerializer.Meta.fields, "history")  # type: ignore[assignment]


class PresenceSerializer(serializers.Serializer[dict[str, Any]]):
    """Whether the device is connected, and why we think so."""

    connectivity = serializers.CharField()
    since = serializers.DateTimeField(allow_null=True)
    cause = serializers.CharField(allow_null=True)
    last_seen_at = serializers.DateTimeField(allow_null=True)
    last_activity_at = serializers.DateTimeField(allow_null=True)


class TwinSerializer(serializers.Serializer[dict[str, Any]]):
    """The desired document, the reported one, and the difference."""

    desired = serializers.DictField()
    desired_version = serializers.IntegerField()
    reported = serializers.DictField()
    reported_version = serializers.IntegerField()
    delta = serializers.DictField()


class MeasuredSerializer(serializers.Serializer[dict[str, Any]]):
    """The latest value of a metric."""

    value = serializers.FloatField()
    at = serializers.DateTimeField()
    unit = serializers.CharField(allow_null=True)


class OpenAlarmSerializer(serializers.Serializer[dict[str, Any]]):
    """An open alarm in short form."""

    id = serializers.CharField()
    code = serializers.CharField()
    severity = serializers.CharField()
    state = serializers.CharField()
    count = serializers.IntegerField()
    raised_at = serializers.DateTimeField()
    flapping = serializers.BooleanField()
    text = serializers.CharField()


class ReasonSerializer(serializers.Serializer[dict[str, Any]]):
    """One reason for a risk score, and its points."""

    name = serializers.CharField()
    points = serializers.IntegerField()
    text = serializers.CharField()


class RiskSerializer(serializers.Serializer[dict[str, Any]]):
    """How urgently a person should look; the points add up to the score."""

    score = serializers.IntegerField(min_value=0, max_value=100)
    reasons = ReasonSerializer(many=True)
    at = serializers.DateTimeField()


class EvidenceSerializer(serializers.Serializer[dict[str, Any]]):
    """A piece of evidence: counted devices with a shared trait, or a fact."""

    name = serializers.CharField()
    value = serializers.CharField()
    affected = serializers.IntegerField(default=None, allow_null=True)
    total = serializers.IntegerField(default=None, allow_null=True)
    rest_affected = serializers.IntegerField(default=None, allow_null=True)
    rest_total = serializers.IntegerField(default=None, allow_null=True)
    text = serializers.CharField()


class DiagnosisSerializer(serializers.Serializer[dict[str, Any]]):
    """Where the fault lies, how sure that is, and the evidence."""

    verdict = serializers.ChoiceField(choices=Verdict.choices)
    confidence = serializers.FloatField(min_value=0, max_value=1)
    where = serializers.CharField(allow_null=True)
    text = serializers.CharField()
    trouble = serializers.ChoiceField(choices=Trouble.choices)
    window = serializers.CharField()
    evidence = EvidenceSerializer(many=True)
    at = serializers.DateTimeField()


class FeedbackSerializer(serializers.ModelSerializer[FieldFeedback]):
    """What people on site saw."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    tenant = serializers.CharField(source="tenant.slug", read_only=True)
    device = serializers.CharField(source="device.uid", read_only=True)
    note = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=2_000
    )
    by = serializers.CharField(source="by.username", read_only=True, allow_null=True)

    class Meta:
        model = FieldFeedback
        fields = ("id", "tenant", "device", "at", "observation", "note", "by")
        read_only_fields = ("at",)


class PointSerializer(serializers.Serializer[dict[str, Any]]):
    """The values of one bucket of time."""

    at = serializers.DateTimeField()
    min = serializers.FloatField()
    max = serializers.FloatField()
    mean = serializers.FloatField()
    last = serializers.FloatField()
    count = serializers.IntegerField()


class MetricHistorySerializer(serializers.Serializer[dict[str, Any]]):
    """The history of a metric; `from` and `to` are those of the answer."""

    device = serializers.CharField()
    metric = serializers.CharField()
    unit = serializers.CharField(allow_null=True)
    step = serializers.IntegerField()
    to = serializers.DateTimeField()
    points = PointSerializer(many=True)

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        # ``from`` is a keyword of Python.
        return {"from": serializers.DateTimeField(), **super().get_fields()}


class KnownBySerializer(serializers.Serializer[dict[str, Any]]):
    """How a value is known: a fact, reported by the device, or judged by a rule."""

    kind = serializers.ChoiceField(choices=KnownBy.choices)
    rule = serializers.CharField(allow_null=True)
    at = serializers.DateTimeField(allow_null=True)


class StateSerializer(serializers.Serializer[dict[str, Any]]):
    """The condition of a device now."""

    presence = PresenceSerializer()
    twin = TwinSerializer()
    telemetry = serializers.DictField(child=MeasuredSerializer())
    alarms = OpenAlarmSerializer(many=True)
    risk = RiskSerializer(allow_null=True)
    diagnosis = DiagnosisSerializer(allow_null=True)
    known_by = serializers.DictField(child=KnownBySerializer())
