"""The work items that come through the attention inbox."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import iotplatform.common.ids
from iotplatform.common.audit import audit_changes


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("registry", "0018_past_devices"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="AttentionItem",
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
                    "kind",
                    models.CharField(
                        choices=[
                            ("command", "command"),
                            ("job", "job"),
                            ("approval", "approval"),
                        ],
                        max_length=8,
                    ),
                ),
                (
                    "object_kind",
                    models.CharField(
                        choices=[("command", "command"), ("job", "job")], max_length=8
                    ),
                ),
                ("object_id", models.UUIDField()),
                ("episode", models.CharField(max_length=40)),
                ("object_name", models.CharField(max_length=200)),
                ("uid", models.CharField(blank=True, max_length=64)),
                ("reason", models.TextField()),
                ("score", models.PositiveSmallIntegerField()),
                ("score_reasons", models.JSONField(default=list)),
                ("opened_at", models.DateTimeField()),
                ("due_at", models.DateTimeField(null=True)),
                ("closed_at", models.DateTimeField(null=True)),
                (
                    "assignee",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "closed_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "device",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="registry.device",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.tenant",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        condition=models.Q(("closed_at", None)),
                        fields=["tenant", "-score", "-id"],
                        name="console_attention_open",
                    ),
                    models.Index(
                        fields=["tenant", "-id"], name="console_attention_by_tenant"
                    ),
                    models.Index(
                        condition=models.Q(("closed_at__isnull", False)),
                        fields=["closed_at"],
                        name="console_attention_closed",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("object_id", "kind", "episode"),
                        name="console_attention_once_per_episode",
                    )
                ],
            },
        ),
        audit_changes("console_attentionitem", kind="attention_item"),
    ]
