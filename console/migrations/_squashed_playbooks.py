"""Playbooks and their runs."""

from django.conf import settings
from django.db import migrations, models

from iotplatform.common.migration_operations import public_id, row_id

MODELS = [
    migrations.CreateModel(
        name="Playbook",
        fields=[
            row_id(),
            public_id(),
            ("name", models.CharField(max_length=200)),
            ("description", models.TextField(blank=True, default="", max_length=2000)),
            ("steps", models.JSONField()),
            ("version", models.PositiveIntegerField(default=1)),
            ("created_at", models.DateTimeField(auto_now_add=True)),
            ("updated_at", models.DateTimeField(auto_now=True)),
            (
                "created_by",
                models.ForeignKey(
                    null=True,
                    on_delete=models.SET_NULL,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
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
                    fields=("tenant", "name"),
                    name="console_playbook_name_once_per_tenant",
                )
            ]
        },
    ),
    migrations.CreateModel(
        name="PlaybookVersion",
        fields=[
            row_id(),
            ("number", models.PositiveIntegerField()),
            ("name", models.CharField(max_length=200)),
            ("steps", models.JSONField()),
            ("made_at", models.DateTimeField(auto_now_add=True)),
            (
                "made_by",
                models.ForeignKey(
                    null=True,
                    on_delete=models.SET_NULL,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "playbook",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="+",
                    to="console.playbook",
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
                    fields=("playbook", "number"), name="console_version_number_once"
                )
            ]
        },
    ),
    migrations.CreateModel(
        name="PlaybookStep",
        fields=[
            row_id(),
            ("number", models.PositiveSmallIntegerField()),
            (
                "status",
                models.CharField(
                    choices=[
                        ("waiting", "waiting"),
                        ("running", "running"),
                        ("succeeded", "succeeded"),
                        ("failed", "failed"),
                        ("skipped", "skipped"),
                    ],
                    max_length=16,
                ),
            ),
            ("due_at", models.DateTimeField(null=True)),
            ("tries", models.PositiveSmallIntegerField(db_default=0, default=0)),
            ("command", models.UUIDField(null=True)),
            ("result", models.JSONField(null=True)),
            ("at", models.DateTimeField()),
            (
                "member",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="+",
                    to="console.playbookrundevice",
                ),
            ),
            (
                "run",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="+",
                    to="console.playbookrun",
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
                    condition=models.Q(("due_at__isnull", False)),
                    fields=["run", "due_at"],
                    name="console_steps_due",
                ),
                models.Index(
                    fields=["run", "number", "status"], name="console_steps_by_number"
                ),
            ],
            "constraints": [
                models.UniqueConstraint(
                    fields=("member", "number"), name="console_step_once_per_device"
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="PlaybookRun",
        fields=[
            row_id(),
            public_id(),
            ("name", models.CharField(max_length=200)),
            ("version", models.PositiveIntegerField()),
            ("steps", models.JSONField()),
            ("query", models.TextField(blank=True)),
            ("rate_per_minute", models.PositiveIntegerField()),
            (
                "status",
                models.CharField(
                    choices=[
                        ("running", "running"),
                        ("completed", "completed"),
                        ("stopped", "stopped"),
                    ],
                    default="running",
                    max_length=16,
                ),
            ),
            ("answers", models.JSONField(default=list)),
            ("started_at", models.DateTimeField()),
            ("ended_at", models.DateTimeField(null=True)),
            ("device_count", models.PositiveIntegerField()),
            (
                "playbook",
                models.ForeignKey(
                    null=True,
                    on_delete=models.SET_NULL,
                    related_name="+",
                    to="console.playbook",
                ),
            ),
            (
                "started_by",
                models.ForeignKey(
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
                models.Index(fields=["tenant", "-id"], name="console_run_by_tenant")
            ]
        },
    ),
    migrations.CreateModel(
        name="PlaybookRunDevice",
        fields=[
            row_id(),
            ("uid", models.CharField(max_length=64)),
            ("is_started", models.BooleanField(db_default=False, default=False)),
            ("position", models.PositiveSmallIntegerField(db_default=0, default=0)),
            ("ended_at", models.DateTimeField(null=True)),
            (
                "device",
                models.ForeignKey(
                    db_constraint=False,
                    on_delete=models.DO_NOTHING,
                    related_name="+",
                    to="registry.device",
                ),
            ),
            (
                "run",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="+",
                    to="console.playbookrun",
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
                models.Index(fields=["run", "uid"], name="console_run_devices"),
                models.Index(
                    condition=models.Q(("ended_at", None), ("is_started", False)),
                    fields=["run", "id"],
                    name="console_run_devices_to_start",
                ),
                models.Index(
                    condition=models.Q(("ended_at", None)),
                    fields=["run"],
                    name="console_run_devices_open",
                ),
            ],
            "constraints": [
                models.UniqueConstraint(
                    fields=("run", "device"), name="console_device_once_per_run"
                )
            ],
        },
    ),
]
