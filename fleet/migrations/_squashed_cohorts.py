"""Cohorts and snapshots."""

from django.conf import settings
from django.db import migrations, models

from iotplatform.common.migration_operations import public_id, row_id

MODELS = [
    migrations.CreateModel(
        name="Cohort",
        fields=[
            row_id(),
            public_id(),
            ("name", models.CharField(max_length=200)),
            ("query", models.TextField()),
            ("created_at", models.DateTimeField(auto_now_add=True)),
            ("updated_at", models.DateTimeField(auto_now=True)),
            (
                "created_by",
                models.ForeignKey(
                    blank=True,
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
            ("description", models.TextField(blank=True, default="", max_length=2000)),
            (
                "owner",
                models.ForeignKey(
                    blank=True,
                    null=True,
                    on_delete=models.SET_NULL,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            ("calls_at", models.PositiveIntegerField(blank=True, null=True)),
            ("calls_each", models.BooleanField(default=False)),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    fields=("tenant", "name"), name="fleet_cohort_name_once_per_tenant"
                )
            ]
        },
    ),
    migrations.CreateModel(
        name="CohortSize",
        fields=[
            row_id(),
            ("at", models.DateTimeField()),
            ("size", models.PositiveIntegerField()),
            (
                "cohort",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="+",
                    to="fleet.cohort",
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
                    fields=("cohort", "at"), name="fleet_cohort_size_once_at_a_time"
                )
            ]
        },
    ),
    migrations.CreateModel(
        name="CohortWatch",
        fields=[
            (
                "cohort",
                models.OneToOneField(
                    on_delete=models.CASCADE,
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
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.tenant",
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="CohortCall",
        fields=[
            row_id(),
            public_id(),
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
                "cohort",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
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
                    on_delete=models.DO_NOTHING,
                    related_name="+",
                    to="registry.device",
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
            row_id(),
            ("uid", models.CharField(max_length=64)),
            (
                "cohort",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="+",
                    to="fleet.cohort",
                ),
            ),
            (
                "device",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
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
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    fields=("cohort", "device"), name="fleet_member_once_per_cohort"
                )
            ]
        },
    ),
    migrations.CreateModel(
        name="Snapshot",
        fields=[
            row_id(),
            public_id(),
            ("query", models.TextField()),
            ("taken_at", models.DateTimeField()),
            ("index_lag_seconds", models.FloatField()),
            ("size", models.PositiveIntegerField()),
            ("target_hash", models.CharField(max_length=64)),
            (
                "cohort",
                models.ForeignKey(
                    null=True,
                    on_delete=models.SET_NULL,
                    related_name="+",
                    to="fleet.cohort",
                ),
            ),
            (
                "taken_by",
                models.ForeignKey(
                    blank=True,
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
            "indexes": [
                models.Index(fields=["cohort", "-id"], name="fleet_snapshot_by_cohort")
            ]
        },
    ),
    migrations.CreateModel(
        name="SnapshotMember",
        fields=[
            row_id(),
            ("uid", models.CharField(max_length=64)),
            (
                "device",
                models.ForeignKey(
                    db_constraint=False,
                    db_index=False,
                    on_delete=models.DO_NOTHING,
                    related_name="+",
                    to="registry.device",
                ),
            ),
            (
                "snapshot",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="+",
                    to="fleet.snapshot",
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
                    fields=("snapshot", "device"), name="fleet_member_once_per_snapshot"
                )
            ]
        },
    ),
]
