"""The first tables of the command plane; the history of commands by day."""

import datetime

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import iotplatform.common.ids
from iotplatform.common.partitions import ensure_partitions, partitioned_table_sql

EVENTS = "commands_commandevent"
EVENT_COLUMNS = """
    tenant_id bigint NOT NULL,
    device_id bigint NOT NULL,
    command_id bigint NOT NULL,
    at timestamptz NOT NULL,
    status varchar(16) NOT NULL,
    actor varchar(200) NOT NULL,
    cause text NOT NULL,
    detail jsonb
"""
EVENT_INDEXES = f"""
    CREATE INDEX commands_event_by_command ON {EVENTS} (command_id, at);
    CREATE INDEX commands_event_by_device ON {EVENTS} (device_id, at);
"""


def make_partitions(apps: object, schema_editor: object) -> None:
    """Make the partitions of the days around now; a task makes the next ones."""
    ensure_partitions(EVENTS, today=datetime.datetime.now(datetime.UTC).date())


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("registry", "0002_web_role"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Command",
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
                ("name", models.CharField(max_length=64)),
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
                ("created_at", models.DateTimeField()),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("held", "held"),
                            ("queued", "queued"),
                            ("sent", "sent"),
                            ("received", "received"),
                            ("running", "running"),
                            ("succeeded", "succeeded"),
                            ("verified", "verified"),
                            ("failed", "failed"),
                            ("timed_out", "timed out"),
                            ("unknown", "unknown"),
                            ("expired", "expired"),
                            ("cancelled", "cancelled"),
                            ("superseded", "superseded"),
                        ],
                        max_length=16,
                    ),
                ),
                ("status_since", models.DateTimeField()),
                (
                    "waits_for",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "nothing"),
                            ("device", "the device"),
                            ("time", "a time"),
                        ],
                        default="",
                        max_length=8,
                    ),
                ),
                (
                    "failure_class",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("unreachable", "unreachable"),
                            ("no_ack", "no acknowledgement"),
                            ("rejected", "rejected"),
                            ("execution_failed", "execution failed"),
                            ("execution_timeout", "execution timeout"),
                            ("unverified", "unverified"),
                            ("adapter_error", "adapter error"),
                            ("expired", "expired"),
                            ("unknown_outcome", "unknown outcome"),
                        ],
                        default="",
                        max_length=24,
                    ),
                ),
                ("late", models.BooleanField(default=False)),
                ("expires_at", models.DateTimeField()),
                ("due_at", models.DateTimeField(blank=True, null=True)),
                ("claim_token", models.UUIDField(blank=True, null=True)),
                ("claimed_until", models.DateTimeField(blank=True, null=True)),
                ("attempt_count", models.PositiveIntegerField(default=0)),
                ("uncounted_attempts", models.PositiveIntegerField(default=0)),
                ("sent_at", models.DateTimeField(blank=True, null=True)),
                ("received_at", models.DateTimeField(blank=True, null=True)),
                ("running_at", models.DateTimeField(blank=True, null=True)),
                ("succeeded_at", models.DateTimeField(blank=True, null=True)),
                ("verified_at", models.DateTimeField(blank=True, null=True)),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
                ("expectation", models.JSONField(blank=True, null=True)),
                (
                    "desired_version",
                    models.PositiveBigIntegerField(blank=True, null=True),
                ),
                ("result", models.JSONField(blank=True, null=True)),
                (
                    "device",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.device",
                    ),
                ),
                (
                    "requested_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "retry_of",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="commands.command",
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
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    partitioned_table_sql(EVENTS, EVENT_COLUMNS, key="at")
                    + EVENT_INDEXES,
                    f"DROP TABLE {EVENTS}",
                ),
                migrations.RunPython(make_partitions, migrations.RunPython.noop),
            ],
            state_operations=[
                migrations.CreateModel(
                    name="CommandEvent",
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
                        ("at", models.DateTimeField()),
                        (
                            "status",
                            models.CharField(
                                choices=[
                                    ("held", "held"),
                                    ("queued", "queued"),
                                    ("sent", "sent"),
                                    ("received", "received"),
                                    ("running", "running"),
                                    ("succeeded", "succeeded"),
                                    ("verified", "verified"),
                                    ("failed", "failed"),
                                    ("timed_out", "timed out"),
                                    ("unknown", "unknown"),
                                    ("expired", "expired"),
                                    ("cancelled", "cancelled"),
                                    ("superseded", "superseded"),
                                ],
                                max_length=16,
                            ),
                        ),
                        ("actor", models.CharField(max_length=200)),
                        ("cause", models.TextField(blank=True)),
                        ("detail", models.JSONField(blank=True, null=True)),
                        (
                            "command",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="commands.command",
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
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="registry.tenant",
                            ),
                        ),
                    ],
                    options={
                        "db_table": "commands_commandevent",
                    },
                ),
            ],
        ),
        migrations.CreateModel(
            name="FrozenCohort",
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
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.tenant",
                    ),
                ),
            ],
        ),
        migrations.CreateModel(
            name="Job",
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
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="commands.frozencohort",
                    ),
                ),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
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
        migrations.AddField(
            model_name="command",
            name="job",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="commands.job",
            ),
        ),
        migrations.CreateModel(
            name="JobEvent",
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
                ("at", models.DateTimeField()),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("draft", "draft"),
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
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="commands.job",
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
            name="JobTarget",
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
                ("wave", models.PositiveIntegerField(blank=True, null=True)),
                ("skip_reason", models.CharField(blank=True, max_length=200)),
                (
                    "command",
                    models.OneToOneField(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="commands.command",
                    ),
                ),
                (
                    "device",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.device",
                    ),
                ),
                (
                    "job",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="commands.job",
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
            name="JobWave",
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
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="commands.job",
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
                "ordering": ["number"],
            },
        ),
        migrations.CreateModel(
            name="RetainedDesired",
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
                ("topic", models.CharField(max_length=200, unique=True)),
                ("published_at", models.DateTimeField()),
                ("clear_due_at", models.DateTimeField(blank=True, null=True)),
                (
                    "device",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
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
        ),
        migrations.CreateModel(
            name="Attempt",
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
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.tenant",
                    ),
                ),
                (
                    "command",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="commands.command",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["received_at"], name="commands_attempt_latency"
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("command", "number"),
                        name="commands_attempt_number_once",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="IdempotencyKey",
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
                        on_delete=django.db.models.deletion.CASCADE,
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
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(
                    ("status__in", ["scheduled", "running", "paused", "stopped"])
                ),
                fields=["id"],
                name="commands_job_to_advance",
            ),
        ),
        migrations.AddIndex(
            model_name="job",
            index=models.Index(fields=["tenant", "-id"], name="commands_job_by_tenant"),
        ),
        migrations.AddIndex(
            model_name="command",
            index=models.Index(
                condition=models.Q(("claim_token__isnull", True), ("status", "queued")),
                fields=["due_at", "id"],
                name="commands_to_dispatch",
            ),
        ),
        migrations.AddIndex(
            model_name="command",
            index=models.Index(
                condition=models.Q(
                    ("due_at__isnull", False),
                    models.Q(
                        models.Q(("status", "queued"), _negated=True),
                        ("claim_token__isnull", False),
                        _connector="OR",
                    ),
                ),
                fields=["due_at", "id"],
                name="commands_to_look_at",
            ),
        ),
        migrations.AddIndex(
            model_name="command",
            index=models.Index(
                condition=models.Q(("claim_token__isnull", True), ("status", "queued")),
                fields=["expires_at", "id"],
                name="commands_to_expire",
            ),
        ),
        migrations.AddIndex(
            model_name="command",
            index=models.Index(
                condition=models.Q(("ended_at__isnull", True)),
                fields=["device", "status"],
                name="commands_open_by_device",
            ),
        ),
        migrations.AddIndex(
            model_name="command",
            index=models.Index(
                condition=models.Q(
                    ("expectation__isnull", False),
                    ("status__in", ["timed_out", "unknown", "expired", "failed"]),
                ),
                fields=["device", "name"],
                name="commands_correctable",
            ),
        ),
        migrations.AddIndex(
            model_name="command",
            index=models.Index(fields=["device", "-id"], name="commands_by_device"),
        ),
        migrations.AddIndex(
            model_name="command",
            index=models.Index(fields=["tenant", "-id"], name="commands_by_tenant"),
        ),
        migrations.AddIndex(
            model_name="command",
            index=models.Index(
                condition=models.Q(("job__isnull", False)),
                fields=["job", "status"],
                name="commands_by_job",
            ),
        ),
        migrations.AddConstraint(
            model_name="command",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("ended_at__isnull", False),
                    ("due_at__isnull", False),
                    _connector="OR",
                ),
                name="commands_open_is_due_some_time",
            ),
        ),
        migrations.AddIndex(
            model_name="jobevent",
            index=models.Index(fields=["job", "id"], name="commands_jobevent_by_job"),
        ),
        migrations.AddIndex(
            model_name="jobtarget",
            index=models.Index(
                condition=models.Q(("command__isnull", True), ("skip_reason", "")),
                fields=["job", "wave", "id"],
                name="commands_target_to_release",
            ),
        ),
        migrations.AddIndex(
            model_name="jobtarget",
            index=models.Index(fields=["job", "id"], name="commands_target_by_job"),
        ),
        migrations.AddConstraint(
            model_name="jobtarget",
            constraint=models.UniqueConstraint(
                fields=("job", "device"), name="commands_member_once_per_job"
            ),
        ),
        migrations.AddConstraint(
            model_name="jobwave",
            constraint=models.UniqueConstraint(
                fields=("job", "number"), name="commands_wave_number_once"
            ),
        ),
        migrations.AddIndex(
            model_name="retaineddesired",
            index=models.Index(
                condition=models.Q(("clear_due_at__isnull", False)),
                fields=["clear_due_at"],
                name="commands_retained_to_clear",
            ),
        ),
    ]
