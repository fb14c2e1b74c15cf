"""The index of devices, bulk edits and standing policies."""

import django.core.validators
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

from iotplatform.common.migration_operations import public_id, row_id

MODELS = [
    migrations.CreateModel(
        name="IndexState",
        fields=[
            row_id(),
            ("generation", models.CharField(blank=True, max_length=100)),
            ("documents", models.BigIntegerField(default=0)),
            ("rebuilt_at", models.DateTimeField(null=True)),
            ("rebuild_requested_at", models.DateTimeField(null=True)),
            ("drained_outbox_id", models.BigIntegerField(default=0)),
            ("drained_at", models.DateTimeField(null=True)),
            ("updated_at", models.DateTimeField(auto_now=True)),
            ("epoch", models.BigIntegerField(default=0)),
            ("rebuild_done", models.BigIntegerField(default=0)),
            ("rebuild_total", models.BigIntegerField(default=0)),
            ("emptied_outbox_id", models.BigIntegerField(db_default=0, default=0)),
        ],
        options={"verbose_name_plural": "index state"},
    ),
    migrations.CreateModel(
        name="Outbox",
        fields=[
            row_id(),
            ("device_id", models.BigIntegerField()),
            (
                "at",
                models.DateTimeField(
                    db_default=django.db.models.functions.datetime.Now()
                ),
            ),
            (
                "lane",
                models.PositiveSmallIntegerField(
                    choices=[(0, "Single"), (1, "Many")], db_default=0, default=0
                ),
            ),
        ],
        options={
            "indexes": [
                models.Index(
                    condition=models.Q(("lane", 0)),
                    fields=["id"],
                    name="fleet_outbox_single",
                )
            ]
        },
    ),
    migrations.CreateModel(
        name="FleetEdit",
        fields=[
            row_id(),
            public_id(),
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
            (
                "undone_by",
                models.ForeignKey(
                    null=True,
                    on_delete=models.SET_NULL,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
        ],
        options={
            "indexes": [
                models.Index(fields=["tenant", "-id"], name="fleet_edit_by_tenant"),
                models.Index(
                    condition=models.Q(("status__in", ["queued", "undoing"])),
                    fields=["id"],
                    name="fleet_edit_open",
                ),
            ]
        },
    ),
    migrations.CreateModel(
        name="EditedDevice",
        fields=[
            row_id(),
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
                "edit",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="+",
                    to="fleet.fleetedit",
                ),
            ),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    fields=("edit", "device"), name="fleet_edited_device_once"
                )
            ]
        },
    ),
    migrations.CreateModel(
        name="StandingPolicy",
        fields=[
            row_id(),
            public_id(),
            ("name", models.CharField(max_length=200)),
            ("desired", models.JSONField(null=True)),
            ("firmware_version", models.CharField(blank=True, max_length=64)),
            (
                "priority",
                models.IntegerField(
                    default=0,
                    validators=[
                        django.core.validators.MinValueValidator(-1000),
                        django.core.validators.MaxValueValidator(1000),
                    ],
                ),
            ),
            (
                "rate_per_minute",
                models.PositiveIntegerField(
                    default=600,
                    validators=[
                        django.core.validators.MinValueValidator(1),
                        django.core.validators.MaxValueValidator(60000),
                    ],
                ),
            ),
            ("is_enabled", models.BooleanField(default=True)),
            ("asked_at", models.DateTimeField()),
            ("looked_at", models.DateTimeField(null=True)),
            ("created_at", models.DateTimeField(auto_now_add=True)),
            ("updated_at", models.DateTimeField(auto_now=True)),
            (
                "cohort",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="+", to="fleet.cohort"
                ),
            ),
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
                "release",
                models.ForeignKey(
                    null=True,
                    on_delete=models.SET_NULL,
                    related_name="+",
                    to="registry.firmwarerelease",
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
                    fields=("tenant", "name"), name="fleet_policy_name_once_per_tenant"
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        ("desired__isnull", True),
                        ("firmware_version", ""),
                        _connector="OR",
                    ),
                    name="fleet_policy_is_of_one_kind",
                ),
            ]
        },
    ),
    migrations.CreateModel(
        name="PolicyMember",
        fields=[
            row_id(),
            ("is_due", models.BooleanField(default=True)),
            ("patch", models.JSONField(null=True)),
            ("kept", models.JSONField(null=True)),
            ("overruled", models.JSONField(default=dict)),
            ("reason", models.CharField(blank=True, max_length=200)),
            ("handed_at", models.DateTimeField(null=True)),
            ("settled_at", models.DateTimeField(null=True)),
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
                "tenant",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.tenant",
                ),
            ),
            (
                "policy",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="+",
                    to="fleet.standingpolicy",
                ),
            ),
        ],
        options={
            "indexes": [
                models.Index(
                    condition=models.Q(("is_due", True)),
                    fields=["policy", "id"],
                    name="fleet_policy_member_due",
                ),
                models.Index(
                    condition=models.Q(("handed_at__isnull", False)),
                    fields=["policy", "handed_at"],
                    name="fleet_policy_member_handed",
                ),
            ],
            "constraints": [
                models.UniqueConstraint(
                    fields=("policy", "device"), name="fleet_member_once_per_policy"
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="PolicyCompliance",
        fields=[
            row_id(),
            ("at", models.DateTimeField()),
            ("total", models.PositiveIntegerField()),
            ("compliant", models.PositiveIntegerField()),
            ("overruled", models.PositiveIntegerField()),
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
                "policy",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="+",
                    to="fleet.standingpolicy",
                ),
            ),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    fields=("policy", "at"), name="fleet_compliance_once_at_a_time"
                )
            ]
        },
    ),
]
