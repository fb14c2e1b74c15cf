"""Jobs and their members in the REST API."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from commands.api.serializers.commands import (
    ObjectField,
    Plain,
    ReasonSerializer,
)
from commands.api.serializers.job_health import JobHealthSerializer
from commands.choices import (
    CommandStatus,
    FailureClass,
    JobStatus,
    WaveStatus,
)
from commands.models import Job, JobTarget
from commands.selectors.job_tallies import PENDING, SKIPPED
from commands.selectors.jobs import JobCounts

# The status of a job's member: its command's status, or one of two without a command.
TARGET_STATUSES = [PENDING, SKIPPED, *CommandStatus.values]


class WaveSerializer(Plain):
    """A wave, with its members counted by status."""

    number = serializers.IntegerField()
    canary = serializers.BooleanField()
    size = serializers.IntegerField()
    status = serializers.ChoiceField(choices=WaveStatus.choices)
    released_at = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    succeeded = serializers.IntegerField()
    failed = serializers.IntegerField()
    trailing = serializers.IntegerField()
    by_status = serializers.DictField(child=serializers.IntegerField())


class CountsSerializer(Plain):
    """The members of a job, counted by status."""

    total = serializers.IntegerField()
    succeeded = serializers.IntegerField()
    failed = serializers.IntegerField()
    trailing = serializers.IntegerField()
    by_status = serializers.DictField(child=serializers.IntegerField())
    by_wave = WaveSerializer(many=True)
    by_failure_class = serializers.DictField(child=serializers.IntegerField())


class JobEventSerializer(Plain):
    """One move of a job."""

    at = serializers.DateTimeField()
    status = serializers.ChoiceField(choices=JobStatus.choices)
    actor = serializers.CharField()
    cause = serializers.CharField()


class JobEventListSerializer(Plain):
    """All events of a job, on one page."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = JobEventSerializer(many=True)


class JobSerializer(JobHealthSerializer):
    """A job; the context carries ``counts``, ``waits`` and ``health`` by key."""

    id = serializers.UUIDField(source="public_id")
    tenant = serializers.CharField(source="tenant.slug")
    name = serializers.CharField()
    status = serializers.ChoiceField(choices=JobStatus.choices)
    status_since = serializers.DateTimeField()
    stop_reason = serializers.SerializerMethodField()
    waits_for = serializers.SerializerMethodField()
    command = serializers.SerializerMethodField()
    rollout = ObjectField()
    query = serializers.SerializerMethodField()
    target_count = serializers.IntegerField(source="cohort.target_count")
    target_hash = serializers.CharField(source="cohort.target_hash")
    taken_at = serializers.DateTimeField(source="cohort.taken_at")
    index_lag_seconds = serializers.FloatField(
        source="cohort.index_lag_seconds", allow_null=True
    )
    created_by = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    approved_at = serializers.DateTimeField(allow_null=True)
    start_at = serializers.DateTimeField(allow_null=True)
    deadline = serializers.DateTimeField(allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    counts = serializers.SerializerMethodField()

    def get_stop_reason(self, job: Job) -> str | None:
        """Return why it is stopped or paused."""
        return job.stop_reason or None

    def get_waits_for(self, job: Job) -> str | None:
        """Return in words what it waits for and until when; null: it does not wait."""
        found: str | None = self.context["waits"][job.pk]
        return found

    @extend_schema_field(ObjectField())
    def get_command(self, job: Job) -> dict[str, Any]:
        """Return the command that every member gets."""
        return {
            "name": job.command_name,
            "class": job.command_class,
            "params": job.params,
            "policy": job.policy,
        }

    def get_query(self, job: Job) -> str | None:
        """Return the query that found the members; null if they were listed by id."""
        return job.cohort.query or None

    def get_created_by(self, job: Job) -> str | None:
        """Return the name of the person who created it."""
        return job.created_by.get_username() if job.created_by else None

    @extend_schema_field(CountsSerializer())
    def get_counts(self, job: Job) -> Any:
        """Return the members counted by status."""
        return CountsSerializer(_counts_data(self.context["counts"][job.pk])).data


class JobTargetSerializer(Plain):
    """A member of a job: its wave and command, or why it was skipped."""

    device = serializers.CharField(source="device.uid")
    wave = serializers.IntegerField(allow_null=True)
    status = serializers.SerializerMethodField()
    failure_class = serializers.SerializerMethodField()
    command = serializers.SerializerMethodField()
    skip_reason = serializers.SerializerMethodField()

    @extend_schema_field(serializers.ChoiceField(choices=TARGET_STATUSES))
    def get_status(self, target: JobTarget) -> str:
        """Return its command's status, or "pending" or "skipped" without a command."""
        if target.command is not None:
            return target.command.status
        return SKIPPED if target.skip_reason else PENDING

    def get_failure_class(self, target: JobTarget) -> str | None:
        """Return why its command failed."""
        return (target.command.failure_class or None) if target.command else None

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_command(self, target: JobTarget) -> str | None:
        """Return the id of its command."""
        return str(target.command.public_id) if target.command else None

    def get_skip_reason(self, target: JobTarget) -> str | None:
        """Return why it gets no command."""
        return target.skip_reason or None


class RetryJobSerializer(ReasonSerializer):
    """Which members to retry."""

    failure_class = serializers.ChoiceField(choices=FailureClass.choices)


def _counts_data(counts: JobCounts) -> dict[str, Any]:
    return {
        "total": counts.total,
        "succeeded": counts.succeeded,
        "failed": counts.failed,
        "trailing": counts.trailing,
        "by_status": dict(counts.by_status),
        "by_failure_class": dict(counts.by_failure_class),
        "by_wave": [
            {
                "number": wave.number,
                "canary": wave.is_canary,
                "size": wave.size,
                "status": wave.status,
                "released_at": wave.released_at,
                "ended_at": wave.ended_at,
                "succeeded": tally.succeeded,
                "failed": tally.failed,
                "trailing": tally.trailing,
                "by_status": dict(tally.by_status),
            }
            for wave, tally in counts.waves
        ],
    }
