"""Serializers of places, products and devices."""

from __future__ import annotations

from rest_framework import serializers

from iotplatform.common.flags import FlagField
from iotplatform.common.instants import InstantField
from iotplatform.common.serializers import StrictSerializer
from registry.api.serializers.fields import NameField, OwnNameField, TenantField
from registry.choices import Adapter, DeviceKind, Lifecycle
from registry.validators import (
    validate_json_schema,
    validate_reported_keys,
    validate_slug,
    validate_tag,
    validate_time_zone,
    validate_uid,
)


class SluggedSerializer(StrictSerializer):
    """The fields of every object with a slug."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    slug = OwnNameField(validators=[validate_slug])
    name = serializers.CharField(
        max_length=200, required=False, help_text="Default: the slug."
    )
    created_at = serializers.DateTimeField(read_only=True)


class TenantSerializer(SluggedSerializer):
    """An owner of devices."""


class TenantedSerializer(SluggedSerializer):
    """An object with a slug that belongs to a tenant."""

    tenant = TenantField()


class ProjectSerializer(TenantedSerializer):
    """A project that sites and devices may belong to."""


class SiteSerializer(TenantedSerializer):
    """A place where devices stand."""

    project = NameField(required=False, allow_null=True)
    region = serializers.CharField(max_length=100, required=False, allow_blank=True)
    country = serializers.RegexField(
        r"\A[A-Z]{2}\Z",
        required=False,
        allow_blank=True,
        help_text="ISO 3166-1 alpha-2, in capitals.",
    )
    time_zone = serializers.CharField(
        max_length=64, required=False, validators=[validate_time_zone]
    )
    latitude = serializers.FloatField(
        min_value=-90, max_value=90, required=False, allow_null=True
    )
    longitude = serializers.FloatField(
        min_value=-180, max_value=180, required=False, allow_null=True
    )


class SpaceSerializer(TenantedSerializer):
    """A place inside a site, such as a building, a floor, a room or a line."""

    site = NameField()
    parent = NameField(  # type: ignore[assignment]
        required=False,
        allow_null=True,
        help_text="The space that contains it. Changing it moves the spaces below.",
    )
    kind = serializers.CharField(
        max_length=32,
        required=False,
        allow_blank=True,
        help_text="For example building, floor, room, line.",
    )
    path = serializers.CharField(
        source="slug_path",
        read_only=True,
        help_text="The slugs from the top down, for example `hq/floor-2`.",
    )


class HardwareRevisionSerializer(TenantedSerializer):
    """A version of a product's hardware."""

    product = NameField()
    notes = serializers.CharField(
        max_length=10_000,
        required=False,
        allow_blank=True,
        help_text="What is new in this revision.",
    )


class BatchSerializer(TenantedSerializer):
    """Devices of a hardware revision that were manufactured together."""

    hardware_revision = NameField()
    made_at = InstantField(required=False, allow_null=True)
    notes = serializers.CharField(max_length=10_000, required=False, allow_blank=True)


class MetricSerializer(StrictSerializer):
    """A metric that a product declares."""

    name = serializers.CharField(max_length=64)
    unit = serializers.CharField(max_length=32, required=False, allow_blank=True)
    dead_band = serializers.FloatField(
        min_value=0,
        required=False,
        help_text="The index updates the value only after a change larger than this.",
    )


class ProductSerializer(TenantedSerializer):
    """A model line, and what it declares about its devices."""

    kind = serializers.ChoiceField(choices=DeviceKind.choices, required=False)
    attributes_schema = serializers.DictField(
        required=False,
        validators=[validate_json_schema],
        help_text="A JSON Schema (draft 2020-12) of a device's attributes.",
    )
    config_schema = serializers.DictField(
        required=False,
        validators=[validate_json_schema],
        help_text="A JSON Schema (draft 2020-12) of the configuration that its devices"
        " understand. A merge patch is checked against it; empty: anything goes.",
    )
    metrics = MetricSerializer(many=True, required=False)
    reported_keys = serializers.ListField(
        child=serializers.CharField(),
        required=False,
        validators=[validate_reported_keys],
        help_text="Dotted keys of the reported document that can be searched.",
    )
    heartbeat_seconds = serializers.IntegerField(
        min_value=1, max_value=86_400, required=False
    )
    takes_commands = FlagField(required=False)


class DeviceSerializer(StrictSerializer):
    """A physical unit and the objects that it belongs to."""

    id = serializers.UUIDField(source="public_id", read_only=True)
    uid = OwnNameField(validators=[validate_uid])
    name = serializers.CharField(max_length=200, required=False, allow_blank=True)
    serial = serializers.CharField(max_length=64, required=False, allow_blank=True)
    tenant = TenantField()
    project = NameField(
        required=False, allow_null=True, help_text="Default: the site's."
    )
    site = NameField()
    space = NameField(required=False, allow_null=True, help_text="Of the site.")
    product = NameField()
    hardware_revision = NameField(
        required=False,
        allow_null=True,
        help_text="Of the product. Default: the batch's.",
    )
    batch = NameField(
        required=False, allow_null=True, help_text="Of the hardware revision."
    )
    kind = serializers.ChoiceField(
        choices=DeviceKind.choices,
        required=False,
        help_text="Default: the product's. A child device needs a gateway.",
    )
    gateway = NameField(key="uid", required=False, allow_null=True)
    adapter = serializers.ChoiceField(choices=Adapter.choices, required=False)
    lifecycle = serializers.ChoiceField(choices=Lifecycle.choices, read_only=True)
    tags = serializers.ListField(
        child=serializers.CharField(max_length=64, validators=[validate_tag]),
        required=False,
        max_length=50,
    )
    attributes = serializers.DictField(
        required=False, help_text="Must match the product's attributes_schema."
    )
    replaces = serializers.CharField(
        source="replaces_uid",
        read_only=True,
        allow_null=True,
        help_text="The device that it replaced.",
    )
    replaced_by = serializers.CharField(
        source="replaced_by_uid",
        read_only=True,
        allow_null=True,
        help_text="The device that replaced it.",
    )
    created_at = serializers.DateTimeField(read_only=True)
    updated_at = serializers.DateTimeField(read_only=True)


class ImportedSerializer(serializers.Serializer[object]):
    """The result of an import."""

    created = serializers.IntegerField(read_only=True)


class MoveSerializer(StrictSerializer):
    """A change of a device's lifecycle."""

    to = serializers.ChoiceField(choices=Lifecycle.choices)
    reason = serializers.CharField(max_length=1_000, required=False, allow_blank=True)
    replaced_by = NameField(
        key="uid",
        required=False,
        allow_null=True,
        help_text="The device that replaces it; only with `replaced`.",
    )


class TransferSerializer(StrictSerializer):
    """A device's new owner, and its place and product there."""

    tenant = NameField()
    site = NameField()
    product = NameField()
    project = NameField(
        required=False, allow_null=True, help_text="Default: the site's."
    )
    gateway = NameField(
        key="uid",
        required=False,
        allow_null=True,
        help_text="A child device needs its new one.",
    )
    reason = serializers.CharField(max_length=1_000, required=False, allow_blank=True)


class SignInSerializer(StrictSerializer):
    """A person's name and password."""

    username = serializers.CharField(max_length=150)
    password = serializers.CharField(
        max_length=4_096, trim_whitespace=False, write_only=True
    )


class TokenSerializer(serializers.Serializer[object]):
    """A new key. It is shown only now."""

    token = serializers.CharField(read_only=True)
    expires_at = serializers.DateTimeField(read_only=True)
