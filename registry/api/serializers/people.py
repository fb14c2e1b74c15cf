"""Serializers of memberships and of a person's own keys."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from iotplatform.common.instants import InstantField
from iotplatform.common.serializers import StrictSerializer
from registry.api.serializers.fields import TenantField
from registry.choices import Role, TokenScope
from registry.models import ApiToken, Membership

MOST_PLACES = 200


class PlacesField(serializers.ListField):
    """The slugs of the projects or sites that a member is limited to."""

    child = serializers.CharField(max_length=64, trim_whitespace=False)

    def __init__(self, kind: str, **kwargs: Any) -> None:
        self.kind = kind
        super().__init__(required=False, max_length=MOST_PLACES, **kwargs)

    def get_attribute(self, instance: Membership) -> list[str]:
        """Read them from the limits, which the selector prefetched."""
        found = (getattr(row, self.kind) for row in instance.limits.all())
        return sorted(place.slug for place in found if place is not None)


class MembershipSerializer(StrictSerializer):
    """A person's role in a tenant, and its limit."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    user = serializers.CharField(
        source="user.username", max_length=150, help_text="The user name of an account."
    )
    tenant = TenantField()
    role = serializers.ChoiceField(choices=Role.choices, required=False)
    projects = PlacesField(
        "project",
        help_text="Together with `sites`, the limit. Both empty: the whole tenant.",
    )
    sites = PlacesField("site")
    created_at = serializers.DateTimeField(read_only=True)


class NewTokenSerializer(StrictSerializer):
    """The request for a new key."""

    name = serializers.CharField(max_length=100)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=TokenScope.choices), allow_empty=False
    )
    expires_at = InstantField(
        required=False, allow_null=True, help_text="Default: never."
    )


class ApiTokenSerializer(serializers.Serializer[ApiToken]):
    """One of the caller's keys, without its secret."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    name = serializers.CharField(read_only=True)
    prefix = serializers.CharField(
        read_only=True, help_text="The first characters of the key."
    )
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=TokenScope.choices), read_only=True
    )
    created_at = serializers.DateTimeField(read_only=True)
    expires_at = serializers.DateTimeField(read_only=True, allow_null=True)
    last_used_at = serializers.DateTimeField(read_only=True, allow_null=True)
    revoked_at = serializers.DateTimeField(read_only=True, allow_null=True)


class IssuedTokenSerializer(ApiTokenSerializer):
    """A new key. It is shown only now."""

    token = serializers.CharField(read_only=True)
