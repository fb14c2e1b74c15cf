"""Jobs and the members that they release."""

from django.conf import settings
from django.db import migrations, models

from iotplatform.common.migration_operations import public_id, row_id

MODELS = [
    migrations.CreateModel(
        name="Job",
        fields=[
            row_id(),
            public_id(),
            ("name", models.CharField(max_length=200)),
            ("command_name", models.CharField(max_length=64)),
            (
                "command_class",
                models.CharField(
                    choices=[
                        ("control", "control"),
                        ("config", "configuration"),
                        ("job", "job"),
                        ("operation", "operation"),
                    ],
                    max_length=16,
                ),
            ),
            ("params", models.JSONField(blank=True, default=dict)),
            ("policy", models.JSONField(default=dict)),
            ("rollout", models.JSONField(default=dict)),
            ("created_at", models.DateTimeField()),
            (
                "status",
                models.CharField(
                    choices=[
                        ("draft", "draft"),
                        ("awaiting_approval", "awaiting approval"),
                        ("scheduled", "scheduled"),
                        ("running", "running"),
                        ("paused", "paused"),
                        ("stopped", "stopped"),
                        ("completed", "completed"),
                        ("cancelled", "cancelled"),
                    ],
                    default="draft",
                    max_length=24,
                ),
            ),
            ("status_since", models.DateTimeField()),
            ("stop_reason", models.TextField(blank=True)),
            ("start_at", models.DateTimeField(blank=True, null=True)),
            ("deadline", models.DateTimeField(blank=True, null=True)),
            ("ended_at", models.DateTimeField(blank=True, null=True)),
            (
                "cohort",
                models.OneToOneField(
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="commands.frozencohort",
                ),
            ),
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
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.tenant",
                ),
            ),
            ("started_at", models.DateTimeField(blank=True, null=True)),
            ("paused_at", models.DateTimeField(blank=True, null=True)),
            ("definition", models.JSONField(blank=True, null=True)),
            ("failure_rules", models.JSONField(blank=True, null=True)),
            ("approved_at", models.DateTimeField(blank=True, null=True)),
            (
                "approved_hash",
                models.CharField(blank=True, db_default="", max_length=64),
            ),
            ("drift_checked_at", models.DateTimeField(blank=True, null=True)),
            ("tokens", models.FloatField(db_default=0.0, default=0.0)),
            ("tokens_at", models.DateTimeField(blank=True, null=True)),
        ],
        options={
            "indexes": [
                models.Index(
                    condition=models.Q(
                        ("status__in", ["scheduled", "running", "paused", "stopped"])
                    ),
                    fields=["id"],
                    name="commands_job_to_advance",
                ),
                models.Index(fields=["tenant", "-id"], name="commands_job_by_tenant"),
            ]
        },
    ),
    migrations.CreateModel(
        name="JobEvent",
        fields=[
            row_id(),
            ("at", models.DateTimeField()),
            (
                "status",
                models.CharField(
                    choices=[
                        ("draft", "draft"),
                        ("awaiting_approval", "awaiting approval"),
                        ("scheduled", "scheduled"),
                        ("running", "running"),
                        ("paused", "paused"),
                        ("stopped", "stopped"),
                        ("completed", "completed"),
                        ("cancelled", "cancelled"),
                    ],
                    max_length=24,
                ),
            ),
            ("actor", models.CharField(max_length=200)),
            ("cause", models.TextField(blank=True)),
            (
                "job",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="+",
                    to="commands.job",
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
                models.Index(fields=["job", "id"], name="commands_jobevent_by_job")
            ]
        },
    ),
    migrations.CreateModel(
        name="JobTarget",
        fields=[
            row_id(),
            ("wave", models.PositiveIntegerField(blank=True, null=True)),
            ("skip_reason", models.CharField(blank=True, max_length=200)),
            (
                "command",
                models.OneToOneField(
                    blank=True,
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="commands.command",
                ),
            ),
            (
                "device",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="+", to="registry.device"
                ),
            ),
            (
                "job",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="+",
                    to="commands.job",
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
                "in_place_of",
                models.ForeignKey(
                    blank=True,
                    db_index=False,
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.device",
                ),
            ),
            ("is_passed_over", models.BooleanField(db_default=False, default=False)),
        ],
        options={
            "indexes": [
                models.Index(
                    condition=models.Q(("command__isnull", True), ("skip_reason", "")),
                    fields=["job", "wave", "id"],
                    name="commands_target_to_release",
                ),
                models.Index(fields=["job", "id"], name="commands_target_by_job"),
                models.Index(
                    condition=models.Q(("is_passed_over", True)),
                    fields=["job"],
                    name="commands_target_passed_over",
                ),
            ],
            "constraints": [
                models.UniqueConstraint(
                    fields=("job", "device"), name="commands_member_once_per_job"
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="JobWave",
        fields=[
            row_id(),
            ("number", models.PositiveIntegerField()),
            ("is_canary", models.BooleanField(default=False)),
            ("size", models.PositiveIntegerField()),
            (
                "status",
                models.CharField(
                    choices=[
                        ("pending", "pending"),
                        ("released", "released"),
                        ("ended", "ended"),
                    ],
                    default="pending",
                    max_length=16,
                ),
            ),
            ("released_at", models.DateTimeField(blank=True, null=True)),
            ("ended_at", models.DateTimeField(blank=True, null=True)),
            ("accepted_failed", models.PositiveIntegerField(default=0)),
            ("accepted_ended", models.PositiveIntegerField(default=0)),
            (
                "job",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
                    related_name="+",
                    to="commands.job",
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
            ("is_accepted", models.BooleanField(db_default=False, default=False)),
        ],
        options={
            "ordering": ["number"],
            "constraints": [
                models.UniqueConstraint(
                    fields=("job", "number"), name="commands_wave_number_once"
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="FrozenCohort",
        fields=[
            row_id(),
            (
                "query",
                models.TextField(
                    blank=True, help_text="empty: the devices were listed"
                ),
            ),
            ("taken_at", models.DateTimeField()),
            ("index_lag_seconds", models.FloatField(blank=True, null=True)),
            ("target_count", models.PositiveIntegerField()),
            ("target_hash", models.CharField(max_length=64)),
            (
                "tenant",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="+", to="registry.tenant"
                ),
            ),
        ],
    ),
]
