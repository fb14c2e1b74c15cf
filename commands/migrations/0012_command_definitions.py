"""Commands that tenants define; what a command keeps of its definition."""

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

import iotplatform.common.ids
import registry.validators
from iotplatform.common.audit import audit_changes

# What the built-in definitions say of the commands from before. Most are repeatable: the
# column is made with that, so that only the others are written.
FILL = """
    UPDATE commands_command SET is_repeatable = false
    WHERE name NOT IN ('identify', 'set_config', 'update_firmware');
    UPDATE commands_command SET is_disconnecting = true
    WHERE name IN ('update_firmware', 'reboot') AND ended_at IS NULL;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("commands", "0011_needs_person"),
        ("registry", "0018_past_devices"),
    ]

    operations = [
        migrations.AddField(
            model_name="command",
            name="approved_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="command",
            name="failure_rules",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="command",
            name="is_disconnecting",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="command",
            name="is_repeatable",
            field=models.BooleanField(db_default=True, default=False),
        ),
        migrations.AlterField(
            model_name="command",
            name="is_repeatable",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="command",
            name="needs_approval",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddField(
            model_name="job",
            name="definition",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="job",
            name="failure_rules",
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name="command",
            name="waits_for",
            field=models.CharField(
                blank=True,
                choices=[
                    ("", "nothing"),
                    ("device", "the device"),
                    ("time", "a time"),
                    ("gateway", "its gateway"),
                    ("approval", "an approval"),
                ],
                default="",
                max_length=8,
            ),
        ),
        migrations.AlterField(
            model_name="job",
            name="status",
            field=models.CharField(
                choices=[
                    ("draft", "draft"),
                    ("awaiting_approval", "awaiting approval"),
                    ("scheduled", "scheduled"),
                    ("running", "running"),
                    ("paused", "paused"),
                    ("stopped", "stopped"),
                    ("completed", "completed"),
                    ("cancelled", "cancelled"),
                ],
                default="draft",
                max_length=24,
            ),
        ),
        migrations.AlterField(
            model_name="jobevent",
            name="status",
            field=models.CharField(
                choices=[
                    ("draft", "draft"),
                    ("awaiting_approval", "awaiting approval"),
                    ("scheduled", "scheduled"),
                    ("running", "running"),
                    ("paused", "paused"),
                    ("stopped", "stopped"),
                    ("completed", "completed"),
                    ("cancelled", "cancelled"),
                ],
                max_length=24,
            ),
        ),
        migrations.CreateModel(
            name="CommandDefinition",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                (
                    "public_id",
                    models.UUIDField(
                        default=iotplatform.common.ids.new_public_id,
                        editable=False,
                        unique=True,
                    ),
                ),
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
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.product",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.tenant",
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
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        audit_changes("commands_commanddefinition", kind="command_definition"),
    ]
