"""Playbooks, their versions and runs."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import iotplatform.common.ids
from iotplatform.common.audit import audit_changes


class Migration(migrations.Migration):
    dependencies = [
        ("console", "0002_incidents"),
        ("registry", "0018_past_devices"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterField(
            model_name="attentionitem",
            name="kind",
            field=models.CharField(
                choices=[
                    ("command", "command"),
                    ("job", "job"),
                    ("approval", "approval"),
                    ("playbook_step", "playbook step"),
                ],
                max_length=16,
            ),
        ),
        migrations.AlterField(
            model_name="attentionitem",
            name="object_kind",
            field=models.CharField(
                choices=[
                    ("command", "command"),
                    ("job", "job"),
                    ("playbook_run", "playbook run"),
                ],
                max_length=16,
            ),
        ),
        migrations.CreateModel(
            name="Playbook",
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
                    "description",
                    models.TextField(blank=True, default="", max_length=2000),
                ),
                ("steps", models.JSONField()),
                ("version", models.PositiveIntegerField(default=1)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
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
            name="PlaybookRun",
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
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="console.playbook",
                    ),
                ),
                (
                    "started_by",
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
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.tenant",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="PlaybookRunDevice",
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
                ("uid", models.CharField(max_length=64)),
                ("is_started", models.BooleanField(db_default=False, default=False)),
                ("position", models.PositiveSmallIntegerField(db_default=0, default=0)),
                ("ended_at", models.DateTimeField(null=True)),
                (
                    "device",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="registry.device",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="console.playbookrun",
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
            name="PlaybookStep",
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
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="console.playbookrundevice",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="console.playbookrun",
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
            name="PlaybookVersion",
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
                ("number", models.PositiveIntegerField()),
                ("name", models.CharField(max_length=200)),
                ("steps", models.JSONField()),
                ("made_at", models.DateTimeField(auto_now_add=True)),
                (
                    "made_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "playbook",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="console.playbook",
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
        migrations.AddConstraint(
            model_name="playbook",
            constraint=models.UniqueConstraint(
                fields=("tenant", "name"), name="console_playbook_name_once_per_tenant"
            ),
        ),
        migrations.AddIndex(
            model_name="playbookrun",
            index=models.Index(fields=["tenant", "-id"], name="console_run_by_tenant"),
        ),
        migrations.AddIndex(
            model_name="playbookrundevice",
            index=models.Index(fields=["run", "uid"], name="console_run_devices"),
        ),
        migrations.AddIndex(
            model_name="playbookrundevice",
            index=models.Index(
                condition=models.Q(("ended_at", None), ("is_started", False)),
                fields=["run", "id"],
                name="console_run_devices_to_start",
            ),
        ),
        migrations.AddIndex(
            model_name="playbookrundevice",
            index=models.Index(
                condition=models.Q(("ended_at", None)),
                fields=["run"],
                name="console_run_devices_open",
            ),
        ),
        migrations.AddConstraint(
            model_name="playbookrundevice",
            constraint=models.UniqueConstraint(
                fields=("run", "device"), name="console_device_once_per_run"
            ),
        ),
        migrations.AddIndex(
            model_name="playbookstep",
            index=models.Index(
                condition=models.Q(("due_at__isnull", False)),
                fields=["run", "due_at"],
                name="console_steps_due",
            ),
        ),
        migrations.AddIndex(
            model_name="playbookstep",
            index=models.Index(
                fields=["run", "number", "status"], name="console_steps_by_number"
            ),
        ),
        migrations.AddConstraint(
            model_name="playbookstep",
            constraint=models.UniqueConstraint(
                fields=("member", "number"), name="console_step_once_per_device"
            ),
        ),
        migrations.AddConstraint(
            model_name="playbookversion",
            constraint=models.UniqueConstraint(
                fields=("playbook", "number"), name="console_version_number_once"
            ),
        ),
        audit_changes("console_playbook", kind="playbook"),
        audit_changes("console_playbookrun", kind="playbook_run"),
    ]
