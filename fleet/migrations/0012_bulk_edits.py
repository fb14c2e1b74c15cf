"""Edits of many devices, and what each of them was before."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import iotplatform.common.ids
from iotplatform.common.audit import audit_changes


class Migration(migrations.Migration):
    """What people did stands in the log; how far a worker is does not."""

    dependencies = [
        ("fleet", "0011_outbox_lanes"),
        ("registry", "0020_config_schema"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="FleetEdit",
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
                ("query", models.TextField()),
                ("changes", models.JSONField()),
                ("reason", models.TextField(max_length=1000)),
                ("size", models.PositiveIntegerField()),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("queued", "queued"),
                            ("done", "done"),
                            ("undoing", "being undone"),
                            ("undone", "undone"),
                            ("failed", "failed"),
                        ],
                        max_length=12,
                    ),
                ),
                ("created_at", models.DateTimeField()),
                ("worked_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                ("detail", models.TextField(blank=True)),
                ("undone_at", models.DateTimeField(null=True)),
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
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.tenant",
                    ),
                ),
                (
                    "undone_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="EditedDevice",
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
                (
                    "result",
                    models.CharField(
                        choices=[
                            ("pending", "pending"),
                            ("changed", "changed"),
                            ("unchanged", "unchanged"),
                            ("left_out", "left out"),
                        ],
                        default="pending",
                        max_length=10,
                    ),
                ),
                ("reason", models.TextField(blank=True)),
                ("before", models.JSONField(default=dict)),
                ("after", models.JSONField(default=dict)),
                (
                    "undo",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("restored", "restored"),
                            ("partly", "partly restored"),
                            ("skipped", "skipped"),
                        ],
                        max_length=8,
                    ),
                ),
                ("undo_reason", models.TextField(blank=True)),
                (
                    "device",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
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
                    "edit",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="fleet.fleetedit",
                    ),
                ),
            ],
        ),
        migrations.AddIndex(
            model_name="fleetedit",
            index=models.Index(fields=["tenant", "-id"], name="fleet_edit_by_tenant"),
        ),
        migrations.AddIndex(
            model_name="fleetedit",
            index=models.Index(
                condition=models.Q(("status__in", ["queued", "undoing"])),
                fields=["id"],
                name="fleet_edit_open",
            ),
        ),
        migrations.AddConstraint(
            model_name="editeddevice",
            constraint=models.UniqueConstraint(
                fields=("edit", "device"), name="fleet_edited_device_once"
            ),
        ),
        audit_changes(
            "fleet_fleetedit",
            kind="fleet_edit",
            ignored=["status", "worked_at", "ended_at", "detail"],
        ),
    ]
