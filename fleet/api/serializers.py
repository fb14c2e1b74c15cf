"""Shapes of searches, cohorts, snapshots and job requests in the REST API."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from commands.api.serializers.commands import ObjectField
from fleet.fields import Kind
from fleet.models import Cohort, Snapshot
from fleet.selectors.suggestions import OptionKind
from fleet.services.cohorts import LARGEST_NUMBER, LONGEST_DESCRIPTION
from fleet.services.targets import MOST_DEVICES
from iotplatform.common.flags import FlagField
from iotplatform.common.serializers import StrictSerializer
from state.choices import KnownBy

Plain = serializers.Serializer[Any]


@extend_schema_field(OpenApiTypes.ANY)
class AnyField(serializers.ReadOnlyField):
    """A value of any type."""


class FacetSerializer(Plain):
    """One value of a field, and how many devices of the result have it."""

    value = AnyField()
    count = serializers.IntegerField()
    approximate = serializers.BooleanField(
        required=False, help_text="Given, and true, when a field has too many values."
    )


class SearchResultSerializer(Plain):
    """One page of a search."""

    total = serializers.IntegerField()
    index_lag_seconds = serializers.FloatField()
    results = serializers.ListField(child=ObjectField())
    facets = serializers.DictField(child=FacetSerializer(many=True))
    next = serializers.URLField(allow_null=True)


class ConditionSerializer(Plain):
    """A field, or a key like ``attr.battery_rev``, and its value."""

    field = serializers.CharField()
    value = AnyField()


class AtRiskSerializer(Plain):
    """The devices outside the set that have the same trait."""

    count = serializers.IntegerField()
    query = serializers.CharField()


class TraitSerializer(Plain):
    """A value, or a pair, that is much more frequent in the set than in the fleet."""

    conditions = ConditionSerializer(many=True)
    query = serializers.CharField(help_text="The conditions alone.")
    count = serializers.IntegerField()
    share = serializers.FloatField()
    fleet_count = serializers.IntegerField(help_text="Includes the set.")
    fleet_share = serializers.FloatField()
    lift = serializers.FloatField(help_text="Share divided by the fleet's share.")
    p_value = serializers.FloatField(
        help_text="Fisher's exact test, corrected for all that was tried."
    )
    at_risk = AtRiskSerializer()


class TraitListSerializer(Plain):
    """What a set of devices shares, the strongest first; empty if nothing does.

    What follows from a trouble, like alarms and connectivity, comes after what may
    explain it.
    """

    total = serializers.IntegerField()
    fleet_total = serializers.IntegerField()
    traits = TraitSerializer(many=True)


class FieldSerializer(Plain):
    """A field of the query language."""

    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=[kind.value for kind in Kind])
    known_by = serializers.ChoiceField(choices=KnownBy.choices)
    rule = serializers.CharField(allow_null=True)
    help = serializers.CharField()
    aliases = serializers.ListField(child=serializers.CharField())
    is_list = serializers.BooleanField()
    sorts = serializers.BooleanField()
    facets = serializers.BooleanField()
    operators = serializers.ListField(child=serializers.CharField())


class FieldListSerializer(Plain):
    """The query language's fields."""

    results = FieldSerializer(many=True)


class OptionSerializer(Plain):
    """A text that may stand at the position."""

    text = serializers.CharField(
        help_text="A value brings what it needs to be valid, as a closing parenthesis."
    )
    kind = serializers.ChoiceField(choices=[kind.value for kind in OptionKind])
    count = serializers.IntegerField(
        required=False, help_text="Of a value: the total of the query with it."
    )
    help = serializers.CharField(required=False)


class SuggestionsSerializer(Plain):
    """What may stand at a position of a query."""

    to = serializers.IntegerField()
    options = OptionSerializer(many=True)

    def get_fields(self) -> dict[str, Any]:
        """Add ``from``, which is a keyword of Python."""
        return {"from": serializers.IntegerField(), **super().get_fields()}


class SizeSerializer(Plain):
    """How many devices a cohort had at one time."""

    at = serializers.DateTimeField()
    size = serializers.IntegerField()


class CohortSerializer(Plain):
    """A saved query."""

    id = serializers.UUIDField(source="public_id")
    tenant = serializers.CharField(source="tenant.slug")
    name = serializers.CharField()
    query = serializers.CharField()
    owner = serializers.SerializerMethodField()
    description = serializers.CharField()
    calls_at = serializers.IntegerField(
        allow_null=True, help_text="A work item is opened when the size crosses it."
    )
    calls_each = serializers.BooleanField(
        help_text="Whether each device that enters or leaves is a work item."
    )
    sizes = SizeSerializer(
        many=True,
        help_text="Of the last week: one an hour, one a minute lately. None while the "
        "search was away or behind, and for members of a part of the tenant.",
    )
    created_by = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    def get_owner(self, cohort: Cohort) -> str | None:
        """Return the user name of the person whom to ask about it."""
        return cohort.owner.get_username() if cohort.owner else None

    def get_created_by(self, cohort: Cohort) -> str | None:
        """Return the user name of the person who saved it."""
        return cohort.created_by.get_username() if cohort.created_by else None


class CohortRequestSerializer(StrictSerializer):
    """A new cohort."""

    tenant = serializers.CharField(required=False)
    name = serializers.CharField(max_length=200)
    query = serializers.CharField(allow_blank=True, trim_whitespace=False)
    owner = serializers.CharField(
        max_length=150,
        required=False,
        help_text="A user name; by default the caller's.",
    )
    description = serializers.CharField(
        max_length=LONGEST_DESCRIPTION, allow_blank=True, required=False
    )
    calls_at = serializers.IntegerField(
        min_value=1, max_value=LARGEST_NUMBER, allow_null=True, required=False
    )
    calls_each = FlagField(required=False)


class CohortChangeSerializer(StrictSerializer):
    """Changes to a cohort."""

    name = serializers.CharField(max_length=200, required=False)
    query = serializers.CharField(
        allow_blank=True, trim_whitespace=False, required=False
    )
    owner = serializers.CharField(max_length=150, required=False)
    description = serializers.CharField(
        max_length=LONGEST_DESCRIPTION, allow_blank=True, required=False
    )
    calls_at = serializers.IntegerField(
        min_value=1, max_value=LARGEST_NUMBER, allow_null=True, required=False
    )
    calls_each = FlagField(required=False)


class SnapshotSerializer(Plain):
    """The devices of a cohort at one time."""

    id = serializers.UUIDField(source="public_id")
    tenant = serializers.CharField(source="tenant.slug")
    cohort = serializers.SerializerMethodField()
    query = serializers.CharField()
    taken_at = serializers.DateTimeField()
    taken_by = serializers.SerializerMethodField()
    index_lag_seconds = serializers.FloatField()
    size = serializers.IntegerField()
    target_hash = serializers.CharField()

    @extend_schema_field(serializers.UUIDField(allow_null=True))
    def get_cohort(self, snapshot: Snapshot) -> str | None:
        """Return the id of the cohort; None if it was deleted."""
        return str(snapshot.cohort.public_id) if snapshot.cohort else None

    def get_taken_by(self, snapshot: Snapshot) -> str | None:
        """Return the user name of the person who took it."""
        return snapshot.taken_by.get_username() if snapshot.taken_by else None


class MemberSerializer(Plain):
    """A device of a snapshot."""

    device = serializers.CharField(source="uid")


class DifferenceSerializer(Plain):
    """How the devices of one snapshot differ from those of another."""

    gone = serializers.ListField(child=serializers.CharField())
    added = serializers.ListField(child=serializers.CharField())
    kept = serializers.IntegerField()


class JobCommandSerializer(StrictSerializer):
    """The command for every device."""

    name = serializers.CharField()
    params = ObjectField(required=False, default=dict)
    policy = ObjectField(required=False, allow_null=True, default=None)


class JobRequestSerializer(StrictSerializer):
    """A job to create, or to preview (``dry_run``)."""

    tenant = serializers.CharField(required=False)
    name = serializers.CharField(max_length=200)
    query = serializers.CharField(
        required=False, allow_null=True, allow_blank=True, trim_whitespace=False
    )
    cohort = serializers.CharField(required=False, allow_null=True)
    snapshot = serializers.CharField(required=False, allow_null=True)
    devices = serializers.ListField(
        child=serializers.CharField(max_length=64),
        required=False,
        allow_null=True,
        max_length=MOST_DEVICES,
    )
    command = JobCommandSerializer()
    rollout = ObjectField(
        required=False,
        default=dict,
        help_text=(
            "`canary`, `wave_size` or `waves`, `rate_per_minute`, `soak_seconds`,"
            " `min_ended`, `success_threshold`, `failure_threshold`, `start_at`,"
            " `deadline`, `window` (`from`, `to`, `days`: local time of each site),"
            " `offline` (`wait`, `skip`), `max_in_flight`, `approval` (by a second"
            " person), `combinations` (of `update_firmware`: a list of `gateway`,"
            " `children`, the versions that a gateway and its children may run at the"
            " same time)."
        ),
    )
    expected_hash = serializers.CharField(required=False, allow_null=True)
    dry_run = FlagField(required=False, default=False)


class JobPreviewSerializer(Plain):
    """What a job would affect."""

    target_hash = serializers.CharField()
    target_count = serializers.IntegerField()
    query = serializers.CharField(allow_null=True)
    taken_at = serializers.DateTimeField()
    index_lag_seconds = serializers.FloatField(allow_null=True)
    scope = ObjectField()
    risk = ObjectField()
    cost = ObjectField(
        help_text="bytes to all devices; seconds {low, likely, high}: 80 % of jobs like"
        " it take from low to high, null without a completed one"
    )
