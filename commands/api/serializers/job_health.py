"""How the members of a job fare, in the REST API."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from commands.api.serializers.commands import Plain
from commands.choices import HeldKind
from commands.models import HeldChange, Job
from commands.selectors.job_gates import BREACHED, HOLDS, PASSES


class GateGroupSerializer(Plain):
    """Members that a gate has observed, and the share of them that does badly."""

    n = serializers.IntegerField()
    value = serializers.FloatField(allow_null=True)


class GateSerializer(Plain):
    """The health gate: updated members against those not updated yet."""

    updated = GateGroupSerializer()
    control = GateGroupSerializer()
    bound = serializers.FloatField(
        allow_null=True, help_text="The share of updated members that is tolerated."
    )
    verdict = serializers.ChoiceField(choices=[HOLDS, PASSES, BREACHED])
    text = serializers.CharField(help_text="The verdict in words.")
    threshold = serializers.FloatField(
        allow_null=True, help_text="Of risk or a metric: a number above it is bad."
    )


class HeldSerializer(Plain):
    """The release or patch that a stopped job has marked."""

    kind = serializers.ChoiceField(choices=HeldKind.choices)
    held_at = serializers.DateTimeField()
    lifted_at = serializers.DateTimeField(allow_null=True)
    lifted_by = serializers.SerializerMethodField()
    lift_reason = serializers.CharField()

    def get_lifted_by(self, row: HeldChange) -> str | None:
        """Return the name of the person who lifted it."""
        return row.lifted_by.get_username() if row.lifted_by else None


class FleetHealthSerializer(Plain):
    """How many devices have which connectivity, and their mean risk."""

    devices = serializers.IntegerField()
    connectivity = serializers.DictField(child=serializers.IntegerField())
    risk = serializers.FloatField(allow_null=True)


class MemberHealthSerializer(Plain):
    """The members of a job, and other devices of the same products."""

    members = FleetHealthSerializer()
    others = FleetHealthSerializer()


class BeforeAfterSerializer(Plain):
    """Members and other devices when the job started, and when it came to rest."""

    start = MemberHealthSerializer()
    end = MemberHealthSerializer(allow_null=True)


class JobHealthSerializer(Plain):
    """The part of a job about its health; the context carries ``health``."""

    gate = serializers.SerializerMethodField()
    before_after = serializers.SerializerMethodField()
    held = serializers.SerializerMethodField()
    rollback_of = serializers.SerializerMethodField()
    rolled_back_by = serializers.SerializerMethodField()

    @extend_schema_field(BeforeAfterSerializer(allow_null=True))
    def get_before_after(self, job: Job) -> Any:
        """Return how the members fared; null before the job has started."""
        found = self.context["health"]["before_after"].get(job.pk)
        return BeforeAfterSerializer(found).data if found else None

    @extend_schema_field(HeldSerializer(allow_null=True))
    def get_held(self, job: Job) -> Any:
        """Return what no other job may send since this one was stopped."""
        found = self.context["health"]["held"].get(job.pk)
        return HeldSerializer(found).data if found else None

    def get_rollback_of(self, job: Job) -> UUID | None:
        """Return the job whose members this one restores."""
        found: UUID | None = self.context["health"]["rollback_of"].get(job.pk)
        return found

    def get_rolled_back_by(self, job: Job) -> UUID | None:
        """Return the job that restores the members of this one."""
        found: UUID | None = self.context["health"]["rolled_back_by"].get(job.pk)
        return found

    @extend_schema_field(GateSerializer(allow_null=True))
    def get_gate(self, job: Job) -> Any:
        """Return what the health gate says; null without one."""
        found = self.context["health"]["gates"].get(job.pk)
        return GateSerializer(found).data if found else None
