"""Attempts, and what commands leave to do."""

from django.conf import settings
from django.db import migrations, models

from iotplatform.common.migration_operations import row_id

MODELS = [
    migrations.CreateModel(
        name="Attempt",
        fields=[
            row_id(),
            ("number", models.PositiveIntegerField()),
            (
                "adapter",
                models.CharField(
                    choices=[("mqtt", "MQTT"), ("http", "HTTP")], max_length=16
                ),
            ),
            ("token", models.UUIDField()),
            ("claimed_at", models.DateTimeField()),
            ("sent_at", models.DateTimeField(blank=True, null=True)),
            ("received_at", models.DateTimeField(blank=True, null=True)),
            (
                "outcome",
                models.CharField(
                    choices=[
                        ("claimed", "claimed"),
                        ("sent", "sent"),
                        ("received", "received"),
                        ("no_ack", "no acknowledgement"),
                        ("not_sent", "not sent"),
                        ("lost", "lost"),
                        ("interrupted", "interrupted"),
                        ("stopped", "stopped"),
                    ],
                    default="claimed",
                    max_length=16,
                ),
            ),
            ("error", models.TextField(blank=True)),
            (
                "tenant",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.tenant",
                ),
            ),
            (
                "command",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="+",
                    to="commands.command",
                ),
            ),
        ],
        options={
            "indexes": [
                models.Index(fields=["received_at"], name="commands_attempt_latency"),
                models.Index(fields=["claimed_at"], name="commands_attempt_lately"),
            ],
            "constraints": [
                models.UniqueConstraint(
                    fields=("command", "number"), name="commands_attempt_number_once"
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="IdempotencyKey",
        fields=[
            row_id(),
            ("key", models.CharField(max_length=255)),
            ("fingerprint", models.CharField(max_length=64)),
            (
                "kind",
                models.CharField(
                    choices=[("command", "command"), ("job", "job")], max_length=16
                ),
            ),
            ("object_public_id", models.UUIDField()),
            ("created_at", models.DateTimeField()),
            (
                "tenant",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="+",
                    to="registry.tenant",
                ),
            ),
        ],
        options={
            "indexes": [
                models.Index(fields=["created_at"], name="commands_key_by_age")
            ],
            "constraints": [
                models.UniqueConstraint(
                    fields=("tenant", "key"), name="commands_key_once_per_tenant"
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="OutcomeToTell", fields=[row_id(), ("device_id", models.BigIntegerField())]
    ),
    migrations.CreateModel(
        name="DeliveryMinute",
        fields=[
            row_id(),
            (
                "adapter",
                models.CharField(
                    choices=[("mqtt", "MQTT"), ("http", "HTTP")], max_length=16
                ),
            ),
            ("minute", models.DateTimeField()),
            ("answered", models.PositiveIntegerField(default=0)),
            ("unanswered", models.PositiveIntegerField(default=0)),
            ("latencies", models.JSONField(default=dict)),
            ("counted_until", models.DateTimeField(null=True)),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    fields=("minute", "adapter"), name="commands_delivery_minute_once"
                )
            ]
        },
    ),
    migrations.CreateModel(
        name="RetainedDesired",
        fields=[
            row_id(),
            ("topic", models.CharField(max_length=200, unique=True)),
            ("published_at", models.DateTimeField()),
            ("clear_due_at", models.DateTimeField(blank=True, null=True)),
            (
                "device",
                models.ForeignKey(
                    on_delete=models.CASCADE, related_name="+", to="registry.device"
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
                models.Index(
                    condition=models.Q(("clear_due_at__isnull", False)),
                    fields=["clear_due_at"],
                    name="commands_retained_to_clear",
                )
            ]
        },
    ),
    migrations.CreateModel(
        name="HeldChange",
        fields=[
            (
                "job",
                models.OneToOneField(
                    on_delete=models.CASCADE,
                    primary_key=True,
                    related_name="+",
                    serialize=False,
                    to="commands.job",
                ),
            ),
            (
                "kind",
                models.CharField(
                    choices=[("firmware", "firmware"), ("config", "configuration")],
                    max_length=8,
                ),
            ),
            ("key", models.CharField(max_length=64)),
            ("product_ids", models.JSONField(default=list)),
            ("held_at", models.DateTimeField()),
            ("lifted_at", models.DateTimeField(blank=True, null=True)),
            ("lift_reason", models.TextField(blank=True)),
            (
                "lifted_by",
                models.ForeignKey(
                    blank=True,
                    db_index=False,
                    null=True,
                    on_delete=models.SET_NULL,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
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
            "indexes": [
                models.Index(
                    condition=models.Q(("lifted_at__isnull", True)),
                    fields=["tenant", "kind", "key"],
                    name="commands_held_changes",
                )
            ]
        },
    ),
]
