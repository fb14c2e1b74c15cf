"""Webhooks, the events that go to them, and what came of each message."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import iotplatform.common.ids
from console.migrations._event_triggers import SOURCES
from iotplatform.common.audit import audit_changes


class Migration(migrations.Migration):
    dependencies = [
        ("console", "0003_playbooks"),
        ("registry", "0018_past_devices"),
        ("commands", "0015_redundant_indexes"),
        ("state", "0021_playbook_attention"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="OutgoingEvent",
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
                        db_default=models.Func(function="gen_random_uuid"), unique=True
                    ),
                ),
                ("order_key", models.CharField(max_length=40)),
                ("type", models.CharField(max_length=40)),
                ("subject", models.CharField(max_length=200)),
                ("at", models.DateTimeField()),
                ("data", models.JSONField()),
                ("is_spread", models.BooleanField(db_default=False, default=False)),
                (
                    "written_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now()
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
        ),
        migrations.CreateModel(
            name="Webhook",
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
                ("url", models.CharField(max_length=2000)),
                ("events", models.JSONField()),
                ("patterns", models.JSONField()),
                ("secret", models.TextField()),
                ("is_enabled", models.BooleanField(default=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("resumes_at", models.DateTimeField(null=True)),
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
        ),
        migrations.CreateModel(
            name="Notification",
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
                    "channel",
                    models.CharField(choices=[("webhook", "webhook")], max_length=8),
                ),
                ("target", models.CharField(max_length=300)),
                ("type", models.CharField(max_length=40)),
                ("subject", models.CharField(max_length=200)),
                ("order_key", models.CharField(blank=True, max_length=40)),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("pending", "pending"),
                            ("delivered", "delivered"),
                            ("failed", "given up"),
                        ],
                        default="pending",
                        max_length=12,
                    ),
                ),
                ("attempts", models.PositiveIntegerField(db_default=0, default=0)),
                ("due_at", models.DateTimeField(null=True)),
                ("claim_token", models.UUIDField(null=True)),
                ("claimed_until", models.DateTimeField(null=True)),
                ("response_status", models.PositiveSmallIntegerField(null=True)),
                (
                    "error",
                    models.CharField(
                        blank=True, db_default="", default="", max_length=300
                    ),
                ),
                ("created_at", models.DateTimeField()),
                ("delivered_at", models.DateTimeField(null=True)),
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
                (
                    "event",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="console.outgoingevent",
                    ),
                ),
                (
                    "webhook",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="console.webhook",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="WebhookHost",
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
                ("host", models.CharField(max_length=300, unique=True)),
                ("added_at", models.DateTimeField(auto_now_add=True)),
                (
                    "added_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.AddIndex(
            model_name="outgoingevent",
            index=models.Index(
                condition=models.Q(("is_spread", False)),
                fields=["id"],
                name="console_event_to_spread",
            ),
        ),
        migrations.AddIndex(
            model_name="outgoingevent",
            index=models.Index(fields=["written_at"], name="console_event_by_age"),
        ),
        migrations.AddIndex(
            model_name="webhook",
            index=models.Index(
                condition=models.Q(("is_enabled", True)),
                fields=["tenant"],
                name="console_webhook_enabled",
            ),
        ),
        migrations.AddConstraint(
            model_name="webhook",
            constraint=models.UniqueConstraint(
                fields=("tenant", "name"), name="console_webhook_name_once_per_tenant"
            ),
        ),
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(
                fields=["tenant", "-id"], name="console_notification_by_tenant"
            ),
        ),
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(
                condition=models.Q(("status", "pending")),
                fields=["webhook", "due_at", "id"],
                name="console_notification_due",
            ),
        ),
        migrations.AddIndex(
            model_name="notification",
            index=models.Index(
                condition=models.Q(("status", "pending")),
                fields=["webhook", "order_key", "id"],
                name="console_notification_order",
            ),
        ),
        migrations.AddConstraint(
            model_name="notification",
            constraint=models.UniqueConstraint(
                fields=("webhook", "event"), name="console_event_once_per_webhook"
            ),
        ),
        audit_changes(
            "console_webhook",
            kind="webhook",
            secrets=["url", "secret"],
            ignored=["resumes_at"],
        ),
        audit_changes("console_webhookhost", kind="webhook_host"),
        *(migrations.RunSQL(each.create(), each.drop()) for each in SOURCES),
    ]
