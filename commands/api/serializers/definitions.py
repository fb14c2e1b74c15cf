"""Command definitions in the REST API: the built-in ones and the tenants' own."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from commands.api.serializers.commands import ObjectField, with_class
from commands.choices import CommandClass, Danger
from commands.definitions import Definition
from commands.models import CommandDefinition
from commands.selectors.definitions import as_definition
from iotplatform.common.flags import FlagField
from iotplatform.common.serializers import StrictSerializer
from registry.api.serializers.fields import NameField, OwnNameField


@extend_schema_field(
    {
        "oneOf": [{"type": "object"}, {"type": "string"}],
        "description": "A template of reported keys, filled with the parameters:"
        ' `{"valve": {"position": "{{ params.position }}"}}`. `"{{ params }}"` stands'
        " for all of them, null for no verification.",
    }
)
class ExpectationField(serializers.JSONField):
    """A template; the service checks it with the schema of the parameters."""


class DefinitionSerializer(StrictSerializer):
    """A command definition; `built_in` ones have no tenant and cannot be changed."""

    tenant = NameField(
        required=False,
        allow_null=True,
        help_text="Optional if you belong to one tenant only; null: built in.",
    )
    product = NameField(
        required=False,
        allow_null=True,
        help_text="Null: all products of the tenant that take commands.",
    )
    name = OwnNameField()
    command_class = serializers.ChoiceField(choices=CommandClass.choices)
    description = serializers.CharField(
        max_length=500, required=False, allow_blank=True
    )
    params_schema = ObjectField(required=False)
    policy = ObjectField(
        required=False,
        help_text="In a request: what differs from the policy of the class.",
    )
    repeatable = FlagField(source="is_repeatable", required=False)
    danger = serializers.ChoiceField(choices=Danger.choices, required=False)
    approval = FlagField(source="needs_approval", required=False)
    expectation = ExpectationField(required=False, allow_null=True)
    reactions = ObjectField(
        required=False,
        help_text="What follows an error code of the device, such as"
        ' {"E42": "retry_later"}; before the policy is asked.',
    )
    built_in = serializers.BooleanField(read_only=True)

    def get_fields(self) -> dict[str, Any]:
        """Rename a field to ``class``, which Python does not allow as a name above."""
        return with_class(super().get_fields())

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """Show a tenant's row as the built-in ones, with its complete policy."""
        own = isinstance(instance, CommandDefinition)
        definition: Definition = as_definition(instance) if own else instance
        product = instance.product if own else None
        return {
            **super().to_representation(definition),
            "tenant": instance.tenant.slug if own else None,
            "product": product.slug if product else None,
            "built_in": not own,
        }
