"""Alarm rules of products, and until when a complaint must last."""

import django.core.validators
import django.db.models.deletion
from django.db import migrations, models

import iotplatform.common.ids
from iotplatform.common.audit import audit_changes


class Migration(migrations.Migration):
    """Make the table, which is people's, so that the audit log watches it."""

    dependencies = [
        ("registry", "0010_enrolment_batches"),
        ("state", "0005_maintenance"),
    ]

    operations = [
        migrations.AddField(
            model_name="heldalarm",
            name="due_at",
            field=models.DateTimeField(null=True),
        ),
        migrations.CreateModel(
            name="AlarmRule",
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
                ("name", models.CharField(max_length=200)),
                ("metric", models.CharField(max_length=64)),
                (
                    "comparison",
                    models.CharField(
                        choices=[
                            (">", "above"),
                            (">=", "at or above"),
                            ("<", "below"),
                            ("<=", "at or below"),
                        ],
                        max_length=2,
                    ),
                ),
                ("threshold", models.FloatField()),
                ("hold_seconds", models.PositiveIntegerField(default=0)),
                ("hysteresis", models.FloatField(default=0)),
                (
                    "severity",
                    models.CharField(
                        choices=[
                            ("info", "info"),
                            ("warning", "warning"),
                            ("critical", "critical"),
                        ],
                        default="warning",
                        max_length=8,
                    ),
                ),
                (
                    "code",
                    models.CharField(
                        max_length=64,
                        validators=[
                            django.core.validators.RegexValidator(
                                "\\A[A-Za-z0-9._:-]+\\Z"
                            )
                        ],
                    ),
                ),
                ("enabled", models.BooleanField(default=False)),
                (
                    "product",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
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
                "constraints": [
                    models.UniqueConstraint(
                        fields=("product", "code"), name="state_one_rule_per_code"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("hysteresis__gte", 0)),
                        name="state_rule_hysteresis",
                    ),
                ],
            },
        ),
        audit_changes("state_alarmrule", kind="alarm_rule"),
    ]
