"""What a person has to look at, and by when."""

import django.core.validators
from django.conf import settings
from django.db import migrations, models

from iotplatform.common.migration_operations import public_id, row_id

MODELS = [
    migrations.CreateModel(
        name="AttentionItem",
        fields=[
            row_id(),
            public_id(),
            (
                "kind",
                models.CharField(
                    choices=[
                        ("command", "command"),
                        ("job", "job"),
                        ("approval", "approval"),
                        ("playbook_step", "playbook step"),
                    ],
                    max_length=16,
                ),
            ),
            (
                "object_kind",
                models.CharField(
                    choices=[
                        ("command", "command"),
                        ("job", "job"),
                        ("playbook_run", "playbook run"),
                    ],
                    max_length=16,
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
                    on_delete=models.SET_NULL,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "closed_by",
                models.ForeignKey(
                    null=True,
                    on_delete=models.SET_NULL,
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
                    on_delete=models.DO_NOTHING,
                    related_name="+",
                    to="registry.device",
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
            (
                "incident",
                models.ForeignKey(
                    null=True,
                    on_delete=models.SET_NULL,
                    related_name="+",
                    to="console.incident",
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
    migrations.CreateModel(
        name="SlaPolicy",
        fields=[
            row_id(),
            public_id(),
            (
                "severity",
                models.CharField(
                    choices=[
                        ("info", "info"),
                        ("warning", "warning"),
                        ("critical", "critical"),
                    ],
                    max_length=8,
                ),
            ),
            (
                "acknowledge_minutes",
                models.PositiveIntegerField(
                    validators=[django.core.validators.MinValueValidator(1)]
                ),
            ),
            (
                "resolve_minutes",
                models.PositiveIntegerField(
                    validators=[django.core.validators.MinValueValidator(1)]
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
            "constraints": [
                models.UniqueConstraint(
                    fields=("tenant", "severity"),
                    name="console_one_policy_per_severity",
                )
            ]
        },
    ),
]
