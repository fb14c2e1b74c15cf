"""Cohorts that call: a number, each device, and the calls as work for people."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import iotplatform.common.ids
from iotplatform.common.audit import audit_changes


class Migration(migrations.Migration):
    """What a cohort calls for, who is in it, and its calls."""

    dependencies = [
        ("fleet", "0007_cohort_sizes"),
        ("registry", "0017_audit_reads_rows_once"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="cohort",
            name="calls_at",
            field=models.PositiveIntegerField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="cohort",
            name="calls_each",
            field=models.BooleanField(default=False),
        ),
        migrations.CreateModel(
            name="CohortWatch",
            fields=[
                (
                    "cohort",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="fleet.cohort",
                    ),
                ),
                ("asked_at", models.DateTimeField()),
                ("filled_at", models.DateTimeField(null=True)),
                ("looked_at", models.DateTimeField(null=True)),
                ("began_above", models.BooleanField(null=True)),
                ("is_away", models.BooleanField(default=False)),
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
            name="CohortCall",
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
                            ("entered", "a device entered"),
                            ("left", "a device left"),
                            ("reached", "reached its number"),
                            ("fell", "fell below its number"),
                        ],
                        max_length=8,
                    ),
                ),
                ("uid", models.CharField(blank=True, max_length=64)),
                ("number", models.PositiveIntegerField(null=True)),
                ("size", models.PositiveIntegerField(null=True)),
                ("opened_at", models.DateTimeField()),
                ("back_at", models.DateTimeField(null=True)),
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
                    "cohort",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="fleet.cohort",
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
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.tenant",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["cohort", "-id"], name="fleet_call_by_cohort"),
                    models.Index(
                        condition=models.Q(("closed_at", None)),
                        fields=["tenant", "id"],
                        name="fleet_call_open",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(
                            ("closed_at", None), ("kind__in", ["reached", "fell"])
                        ),
                        fields=("cohort",),
                        name="fleet_one_open_call_of_a_size",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="CohortMember",
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
                    "cohort",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="fleet.cohort",
                    ),
                ),
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
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("cohort", "device"), name="fleet_member_once_per_cohort"
                    )
                ],
            },
        ),
        audit_changes(
            "fleet_cohortcall", kind="cohort_call", ignored=["size", "back_at"]
        ),
    ]
