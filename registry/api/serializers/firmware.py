"""Serializers of firmware releases."""

from __future__ import annotations

from rest_framework import serializers

from iotplatform.common.serializers import StrictSerializer
from registry.api.serializers.fields import NamesField, TenantField
from registry.validators import validate_version

MOST_NAMES = 100


class FirmwareReleaseSerializer(StrictSerializer):
    """A firmware release, without its file."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    tenant = TenantField()
    version = serializers.CharField(
        max_length=64, trim_whitespace=False, validators=[validate_version]
    )
    size = serializers.IntegerField(read_only=True, help_text="In bytes.")
    sha256 = serializers.CharField(read_only=True, help_text="Of the file, in hex.")
    signature = serializers.CharField(
        max_length=4_096,
        required=False,
        allow_blank=True,
        help_text="Passed on to the devices, which check it.",
    )
    products = NamesField(min_length=1, max_length=MOST_NAMES)
    hardware_revisions = NamesField(
        required=False,
        max_length=MOST_NAMES,
        help_text="Revisions of these products. If empty: all of them.",
    )
    notes = serializers.CharField(max_length=10_000, required=False, allow_blank=True)
    created_at = serializers.DateTimeField(read_only=True)
    created_by = serializers.CharField(
        source="created_by.username", read_only=True, default=None, allow_null=True
    )


class NewFirmwareReleaseSerializer(FirmwareReleaseSerializer):
    """A firmware release with its file, as multipart/form-data."""

    file = serializers.FileField(max_length=None, write_only=True)
