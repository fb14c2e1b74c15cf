"""Notification rules: whom to tell of an incident."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import iotplatform.common.ids
from iotplatform.common.audit import audit_changes


class Migration(migrations.Migration):
    dependencies = [
        ("console", "0005_incident_lookups"),
        ("registry", "0020_config_schema"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="NotificationRule",
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
                ("sites", models.JSONField(default=list)),
                ("causes", models.JSONField(default=list)),
                ("quiet_hours", models.JSONField(default=list)),
                ("time_zone", models.CharField(blank=True, max_length=64)),
                ("targets", models.JSONField()),
                ("escalate_after_minutes", models.PositiveIntegerField(null=True)),
                ("digest_minutes", models.PositiveIntegerField(default=0)),
                ("is_enabled", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
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
                        fields=("tenant", "name"),
                        name="console_rule_name_once_per_tenant",
                    )
                ],
            },
        ),
        audit_changes(
            "console_notificationrule", kind="notification_rule", secrets=["targets"]
        ),
    ]
