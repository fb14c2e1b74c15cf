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
    """One change: who, when, through which entry point, of what, before and after."""

    id = serializers.UUIDField(source="entry.public_id")
    at = serializers.DateTimeField(source="entry.at")
    tenant = serializers.CharField(
        source="entry.tenant.slug",
        default=None,
        allow_null=True,
        help_text="Null for an object without a tenant.",
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
        help_text="The device that the change concerns.",
    )
    action = serializers.ChoiceField(source="entry.action", choices=AuditAction.choices)
    before = SideField(
        allow_null=True,
        help_text="Of a change, only the changed columns; null for a new row.",
    )
    after = SideField(allow_null=True, help_text="Null for a deleted row.")
    user = serializers.CharField(
        source="entry.actor", help_text="The user name at that time."
    )
    token = serializers.CharField(source="entry.token_name")
    door = serializers.CharField(source="entry.door")
