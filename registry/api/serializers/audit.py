"""What the API shows of the audit log."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from registry.models import AuditAction


@extend_schema_field({"type": "object", "nullable": True, "additionalProperties": {}})
class SideField(serializers.JSONField):
    """Columns of a row with their values."""


class AuditEntrySerializer(serializers.Serializer[Any]):
    """One change: who, when, through which door, of what, from what to what."""

    id = serializers.UUIDField(source="entry.public_id")
    at = serializers.DateTimeField(source="entry.at")
    tenant = serializers.CharField(
        source="entry.tenant.slug",
        default=None,
        allow_null=True,
        help_text="Null for an object of the platform.",
    )
    kind = serializers.CharField(source="entry.kind")
    object = serializers.CharField(
        source="entry.object_name", help_text="Its uid, slug or name."
    )
    object_id = serializers.CharField(source="entry.object_id")
    device = serializers.CharField(
        source="entry.device.uid",
        default=None,
        allow_null=True,
        help_text="The device that it concerns.",
    )
    action = serializers.ChoiceField(source="entry.action", choices=AuditAction.choices)
    before = SideField(
        allow_null=True, help_text="Of a change only what moved; null of a new row."
    )
    after = SideField(allow_null=True, help_text="Null of a row that was deleted.")
    user = serializers.CharField(source="entry.actor", help_text="The name then.")
    token = serializers.CharField(source="entry.token_name")
    door = serializers.CharField(source="entry.door")
