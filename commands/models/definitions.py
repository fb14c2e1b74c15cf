"""A tenant's own commands, for all of its products or for one."""

from __future__ import annotations

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

from commands.choices import CommandClass, Danger
from iotplatform.common.models import PublicIdModel
from registry.models import Product, Tenant
from registry.validators import validate_json_schema

validate_command_name = RegexValidator(
    r"\A[A-Za-z][A-Za-z0-9_-]{0,63}\Z",
    "1 to 64 letters, digits, '-' or '_', beginning with a letter.",
)


class CommandDefinition(PublicIdModel):
    """What a command of a tenant is: its parameters, policy, danger and reactions.

    A definition for one product goes before one for all products. The built-in ones
    stand in ``commands.definitions``.
    """

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    product = models.ForeignKey(
        Product,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        help_text="Empty: all products of the tenant that take commands.",
    )
    name = models.CharField(max_length=64, validators=[validate_command_name])
    command_class = models.CharField(
        "class",
        max_length=16,
        choices=CommandClass,
        help_text="How it behaves for an offline device, and what 'done' means.",
    )
    description = models.CharField(max_length=500, blank=True)
    params_schema = models.JSONField(
        default=dict,
        blank=True,
        validators=[validate_json_schema],
        help_text="A JSON Schema of the parameters. The console's form follows it.",
    )
    # Only what differs from the class.
    policy = models.JSONField(
        default=dict,
        blank=True,
        help_text="What differs from the policy of the class:"
        ' {"attempts": 5, "on_failure": {"no_ack": "retry_later"}}.',
    )
    is_repeatable = models.BooleanField(
        "repeatable",
        default=False,
        help_text="A device that received it may be sent it again.",
    )
    danger = models.CharField(
        max_length=16,
        choices=Danger,
        default=Danger.NONE,
        help_text="What a person must do in the console before it is sent.",
    )
    needs_approval = models.BooleanField(
        "approval",
        default=False,
        help_text="A second person must approve it before it is sent.",
    )
    # A template, see commands.expectations.
    expectation = models.JSONField(
        null=True,
        blank=True,
        help_text="What the device must report for it to be verified:"
        ' {"valve": {"position": "{{ params.position }}"}}. Empty: executed is enough.',
    )
    reactions = models.JSONField(
        default=dict,
        blank=True,
        help_text="What follows an error code of the device:"
        ' {"E42": "retry_later", "E7": "escalate"}.',
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "name"],
                condition=Q(product__isnull=True),
                name="commands_definition_once_per_tenant",
            ),
            models.UniqueConstraint(
                fields=["tenant", "product", "name"],
                condition=Q(product__isnull=False),
                name="commands_definition_once_per_product",
            ),
        ]

    def __str__(self) -> str:
        return self.name
