"""What the REST API takes and shows of enrolment keys."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework import serializers

from iotplatform.common.serializers import StrictSerializer
from registry.api.serializers.fields import NameField, OwnNameField
from registry.choices import Adapter
from registry.models.enrolment import MOST_DEVICES
from registry.validators import validate_uid


class EnrolmentKeySerializer(StrictSerializer):
    """A key with which devices register themselves, without the key itself."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    tenant = NameField(
        required=False,
        help_text="May be left out by someone who belongs to one tenant only.",
    )
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
    expires_at = serializers.DateTimeField()
    created_at = serializers.DateTimeField(read_only=True)
    created_by = NameField(key="username", read_only=True, allow_null=True)
    revoked_at = serializers.DateTimeField(read_only=True, allow_null=True)


class NewEnrolmentKeySerializer(EnrolmentKeySerializer):
    """A new key: the only time that it is shown."""

    key = serializers.SerializerMethodField()

    def get_key(self, row: Any) -> str:
        """Return the key, which the row does not hold."""
        return str(self.context.get("key", ""))


class EnrolSerializer(StrictSerializer):
    """A device that registers itself."""

    key = serializers.CharField(max_length=200)
    uid = OwnNameField(
        validators=[validate_uid],
        required=False,
        help_text="May be left out by an imported device that says its serial.",
    )
    serial = serializers.CharField(max_length=64, required=False, allow_blank=True)
    name = serializers.CharField(max_length=200, required=False, allow_blank=True)
    adapter = serializers.ChoiceField(choices=Adapter.choices, required=False)
    attributes = serializers.DictField(
        required=False, help_text="As the product's attributes_schema says."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Something must say which device it is."""
        if not attrs.get("uid") and not attrs.get("serial"):
            raise serializers.ValidationError({"uid": "Say the uid, or the serial."})
        return attrs


class EnrolledSerializer(serializers.Serializer[object]):
    """An enrolled device, and all it needs: the only time that the secret is shown."""

    uid = serializers.CharField(source="device.uid", read_only=True)
    tenant = NameField(source="device.tenant", read_only=True)
    product = NameField(source="device.product", read_only=True)
    site = NameField(source="device.site", read_only=True)
    lifecycle = serializers.CharField(source="device.lifecycle", read_only=True)
    adapter = serializers.CharField(source="device.adapter", read_only=True)
    claimed = serializers.BooleanField(
        source="is_claimed",
        read_only=True,
        help_text="Whether it had been imported, and is as it was then.",
    )
    credential_id = serializers.UUIDField(source="credential.public_id", read_only=True)
    secret = serializers.CharField(read_only=True)
    mqtt_url = serializers.SerializerMethodField(
        help_text="Where devices connect; the uid is user name and client id."
    )
    http_url = serializers.SerializerMethodField(
        help_text="The same for devices that speak HTTP."
    )

    def get_mqtt_url(self, enrolled: object) -> str:
        """Return the devices' listener."""
        return str(settings.DEVICE_MQTT_URL)

    def get_http_url(self, enrolled: object) -> str:
        """Return where this very request came."""
        return str(self.context["request"].build_absolute_uri("/device/v1/"))
