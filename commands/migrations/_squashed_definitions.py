"""Definitions of commands, and files of devices."""

import django.core.validators
from django.db import migrations, models

import registry.validators
from iotplatform.common.migration_operations import public_id, row_id

MODELS = [
    migrations.CreateModel(
        name="CommandDefinition",
        fields=[
            row_id(),
            public_id(),
            (
                "name",
                models.CharField(
                    max_length=64,
                    validators=[
                        django.core.validators.RegexValidator(
                            "\\A[A-Za-z][A-Za-z0-9_-]{0,63}\\Z",
                            "1 to 64 letters, digits, '-' or '_', beginning with a letter.",
                        )
                    ],
                ),
            ),
            (
                "command_class",
                models.CharField(
                    choices=[
                        ("control", "control"),
                        ("config", "configuration"),
                        ("job", "job"),
                        ("operation", "operation"),
                    ],
                    help_text="How it behaves for an offline device, and what 'done' means.",
                    max_length=16,
                    verbose_name="class",
                ),
            ),
            ("description", models.CharField(blank=True, max_length=500)),
            (
                "params_schema",
                models.JSONField(
                    blank=True,
                    default=dict,
                    help_text="A JSON Schema of the parameters. The console's form follows it.",
                    validators=[registry.validators.validate_json_schema],
                ),
            ),
            (
                "policy",
                models.JSONField(
                    blank=True,
                    default=dict,
                    help_text='What differs from the policy of the class: {"attempts": 5, "on_failure": {"no_ack": "retry_later"}}.',
                ),
            ),
            (
                "is_repeatable",
                models.BooleanField(
                    default=False,
                    help_text="A device that received it may be sent it again.",
                    verbose_name="repeatable",
                ),
            ),
            (
                "danger",
                models.CharField(
                    choices=[
                        ("none", "none"),
                        ("confirm", "confirm"),
                        ("type_count", "type the number of devices"),
                    ],
                    default="none",
                    help_text="What a person must do in the console before it is sent.",
                    max_length=16,
                ),
            ),
            (
                "needs_approval",
                models.BooleanField(
                    default=False,
                    help_text="A second person must approve it before it is sent.",
                    verbose_name="approval",
                ),
            ),
            (
                "expectation",
                models.JSONField(
                    blank=True,
                    help_text='What the device must report for it to be verified: {"valve": {"position": "{{ params.position }}"}}. Empty: executed is enough.',
                    null=True,
                ),
            ),
            (
                "reactions",
                models.JSONField(
                    blank=True,
                    default=dict,
                    help_text='What follows an error code of the device: {"E42": "retry_later", "E7": "escalate"}.',
                ),
            ),
            ("created_at", models.DateTimeField(auto_now_add=True)),
            (
                "product",
                models.ForeignKey(
                    blank=True,
                    help_text="Empty: all products of the tenant that take commands.",
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.product",
                ),
            ),
            (
                "tenant",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="+", to="registry.tenant"
                ),
            ),
        ],
        options={
            "ordering": ["name", "id"],
            "constraints": [
                models.UniqueConstraint(
                    condition=models.Q(("product__isnull", True)),
                    fields=("tenant", "name"),
                    name="commands_definition_once_per_tenant",
                ),
                models.UniqueConstraint(
                    condition=models.Q(("product__isnull", False)),
                    fields=("tenant", "product", "name"),
                    name="commands_definition_once_per_product",
                ),
            ],
        },
    ),
    migrations.CreateModel(
        name="DeviceFile",
        fields=[
            row_id(),
            public_id(),
            ("name", models.CharField(max_length=128)),
            ("size", models.BigIntegerField(default=0)),
            ("created_at", models.DateTimeField(auto_now_add=True)),
            ("completed_at", models.DateTimeField(null=True)),
            (
                "command",
                models.OneToOneField(
                    on_delete=models.CASCADE, related_name="+", to="commands.command"
                ),
            ),
            (
                "device",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.device",
                ),
            ),
            (
                "tenant",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="+", to="registry.tenant"
                ),
            ),
        ],
        options={
            "indexes": [
                models.Index(fields=["device", "-id"], name="commands_files_of_device"),
                models.Index(fields=["created_at"], name="commands_files_by_age"),
            ]
        },
    ),
    migrations.CreateModel(
        name="DeviceFilePart",
        fields=[
            row_id(),
            ("start", models.BigIntegerField()),
            ("content", models.BinaryField()),
            (
                "file",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="+",
                    to="commands.devicefile",
                ),
            ),
            (
                "tenant",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.tenant",
                ),
            ),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    fields=("file", "start"), name="commands_file_part_once"
                )
            ]
        },
    ),
]
