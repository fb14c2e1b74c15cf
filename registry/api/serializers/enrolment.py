"""Serializers of enrolment keys."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework import serializers

from iotplatform.common.instants import InstantField
from iotplatform.common.serializers import StrictSerializer
from registry.api.serializers.fields import NameField, OwnNameField, TenantField
from registry.choices import Adapter
from registry.models.enrolment import MOST_DEVICES
from registry.validators import validate_uid


class EnrolmentKeySerializer(StrictSerializer):
    """A key with which devices register themselves, without the key itself."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    tenant = TenantField()
    name = serializers.CharField(
        max_length=100, required=False, help_text="Default: product and site."
    )
    product = NameField(required=False, help_text="Default: the batch's.")
    batch = NameField(
        required=False, allow_null=True, help_text="Null: any device of the product."
    )
    site = NameField(help_text="Where devices that register themselves belong.")
    prefix = serializers.CharField(
        read_only=True, help_text="The key's first characters."
    )
    max_devices = serializers.IntegerField(min_value=1, max_value=MOST_DEVICES)
    used_count = serializers.IntegerField(read_only=True)
    expires_at = InstantField()
    created_at = serializers.DateTimeField(read_only=True)
    created_by = NameField(key="username", read_only=True, allow_null=True)
    revoked_at = serializers.DateTimeField(read_only=True, allow_null=True)


class NewEnrolmentKeySerializer(EnrolmentKeySerializer):
    """A new key. It is shown only now."""

    key = serializers.SerializerMethodField()

    def get_key(self, row: Any) -> str:
        """Return the key, which the database does not store."""
        return str(self.context.get("key", ""))


class EnrolSerializer(StrictSerializer):
    """A device that registers itself."""

    key = serializers.CharField(max_length=200)
    uid = OwnNameField(
        validators=[validate_uid],
        required=False,
        help_text="An imported device may give its serial instead.",
    )
    serial = serializers.CharField(max_length=64, required=False, allow_blank=True)
    name = serializers.CharField(max_length=200, required=False, allow_blank=True)
    adapter = serializers.ChoiceField(choices=Adapter.choices, required=False)
    attributes = serializers.DictField(
        required=False, help_text="Must match the product's attributes_schema."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Require the uid or the serial."""
        if not attrs.get("uid") and not attrs.get("serial"):
            raise serializers.ValidationError({"uid": "Give the uid or the serial."})
        return attrs


class EnrolledSerializer(serializers.Serializer[object]):
    """An enrolled device and all it needs to connect. The secret is shown only now."""

    uid = serializers.CharField(source="device.uid", read_only=True)
    tenant = NameField(source="device.tenant", read_only=True)
    product = NameField(source="device.product", read_only=True)
    site = NameField(source="device.site", read_only=True)
    lifecycle = serializers.CharField(source="device.lifecycle", read_only=True)
    adapter = serializers.CharField(source="device.adapter", read_only=True)
    claimed = serializers.BooleanField(
        source="is_claimed",
        read_only=True,
        help_text="Whether it had been imported; then its data is unchanged.",
    )
    credential_id = serializers.UUIDField(source="credential.public_id", read_only=True)
    secret = serializers.CharField(read_only=True)
    mqtt_url = serializers.SerializerMethodField(
        help_text="Where the device connects; user name and client id are its uid."
    )
    http_url = serializers.SerializerMethodField(
        help_text="The same for devices that speak HTTP."
    )

    def get_mqtt_url(self, enrolled: object) -> str:
        """Return the URL of the listener for devices."""
        return str(settings.DEVICE_MQTT_URL)

    def get_http_url(self, enrolled: object) -> str:
        """Return the URL of the server that got this request."""
        return str(self.context["request"].build_absolute_uri("/device/v1/"))
