"""The first tables of state; transitions and telemetry rollups by day."""

import datetime

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import iotplatform.common.ids
from iotplatform.common.partitions import ensure_partitions, partitioned_table_sql
from state.migrations._tables import HOT_TABLES

TRANSITIONS = "state_connectivitytransition"
TRANSITION_COLUMNS = """
    tenant_id bigint NOT NULL,
    device_id bigint NOT NULL,
    at timestamptz NOT NULL,
    moved_from varchar(8) NOT NULL,
    moved_to varchar(8) NOT NULL,
    cause varchar(24) NOT NULL,
    session varchar(64) NOT NULL,
    is_abnormal boolean NOT NULL
"""
TRANSITION_INDEXES = f"""
    CREATE INDEX state_transition_by_device ON {TRANSITIONS} (device_id, at);
    CREATE INDEX state_transition_abnormal ON {TRANSITIONS} (device_id, at)
        WHERE is_abnormal;
    CREATE INDEX state_transition_by_time ON {TRANSITIONS} (at);
"""
ROLLUPS = "state_telemetryrollup"
ROLLUP_COLUMNS = """
    tenant_id bigint NOT NULL,
    device_id bigint NOT NULL,
    metric varchar(64) NOT NULL,
    step smallint NOT NULL,
    at timestamptz NOT NULL,
    minimum double precision NOT NULL,
    maximum double precision NOT NULL,
    total double precision NOT NULL,
    count integer NOT NULL,
    last double precision NOT NULL,
    last_at timestamptz NOT NULL
"""
ROLLUP_INDEXES = f"""
    CREATE UNIQUE INDEX state_rollup_bucket
        ON {ROLLUPS} (device_id, metric, step, at);
"""


def make_partitions(apps: object, schema_editor: object) -> None:
    """Make the partitions of the days around now; a task makes the next ones."""
    today = datetime.datetime.now(datetime.UTC).date()
    for table in (TRANSITIONS, ROLLUPS):
        ensure_partitions(table, today=today)


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("registry", "0002_web_role"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="DeadLetterCount",
            fields=[
                (
                    "reason",
                    models.CharField(max_length=32, primary_key=True, serialize=False),
                ),
                ("total", models.BigIntegerField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="ListeningSlot",
            fields=[
                (
                    "slot",
                    models.PositiveSmallIntegerField(primary_key=True, serialize=False),
                ),
                ("owner", models.CharField(blank=True, max_length=128)),
                ("beat_at", models.DateTimeField()),
                ("caught_up_at", models.DateTimeField()),
                ("messages", models.BigIntegerField(default=0)),
                ("batches", models.BigIntegerField(default=0)),
                ("retained", models.BigIntegerField(default=0)),
                ("rate", models.FloatField(default=0)),
                ("lag_seconds", models.FloatField(default=0)),
            ],
        ),
        migrations.CreateModel(
            name="SweepMark",
            fields=[
                (
                    "name",
                    models.CharField(max_length=32, primary_key=True, serialize=False),
                ),
                ("at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="BlindSpan",
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
                ("slot", models.PositiveSmallIntegerField()),
                ("from_at", models.DateTimeField()),
                ("to_at", models.DateTimeField()),
            ],
            options={
                "indexes": [
                    models.Index(fields=["to_at"], name="state_blindspan_by_end")
                ],
            },
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    partitioned_table_sql(TRANSITIONS, TRANSITION_COLUMNS, key="at")
                    + TRANSITION_INDEXES,
                    f"DROP TABLE {TRANSITIONS}",
                ),
            ],
            state_operations=[
                migrations.CreateModel(
                    name="ConnectivityTransition",
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
                            "moved_from",
                            models.CharField(
                                choices=[
                                    ("online", "online"),
                                    ("suspect", "suspect"),
                                    ("stale", "stale"),
                                    ("offline", "offline"),
                                ],
                                max_length=8,
                            ),
                        ),
                        (
                            "moved_to",
                            models.CharField(
                                choices=[
                                    ("online", "online"),
                                    ("suspect", "suspect"),
                                    ("stale", "stale"),
                                    ("offline", "offline"),
                                ],
                                max_length=8,
                            ),
                        ),
                        (
                            "cause",
                            models.CharField(
                                blank=True,
                                choices=[
                                    ("", "none"),
                                    ("never_connected", "never connected"),
                                    ("sleeping", "asleep, as it said"),
                                    (
                                        "platform_blind",
                                        "the platform was not listening",
                                    ),
                                    ("gateway_offline", "its gateway is not online"),
                                    ("invalid_messages", "heard, but nothing valid"),
                                    ("last_will", "connection lost (last will)"),
                                    ("goodbye", "said goodbye"),
                                    ("missed_heartbeats", "silent for 5 intervals"),
                                    ("missed_heartbeat", "silent for 2 intervals"),
                                    (
                                        "will_without_session",
                                        "last will without a session",
                                    ),
                                ],
                                max_length=24,
                            ),
                        ),
                        ("session", models.CharField(blank=True, max_length=64)),
                        ("is_abnormal", models.BooleanField(default=False)),
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
                        "db_table": "state_connectivitytransition",
                    },
                ),
            ],
        ),
        migrations.CreateModel(
            name="DeadLetter",
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
                ("at", models.DateTimeField()),
                ("reason", models.CharField(max_length=32)),
                ("detail", models.TextField(blank=True)),
                ("uid", models.CharField(blank=True, max_length=64)),
                ("topic", models.TextField(blank=True)),
                ("payload", models.BinaryField(default=bytes)),
                ("payload_bytes", models.PositiveIntegerField(default=0)),
                ("adapter", models.CharField(blank=True, max_length=16)),
                (
                    "tenant",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.tenant",
                    ),
                ),
            ],
            options={
                "abstract": False,
            },
        ),
        migrations.CreateModel(
            name="ExpectedDisconnect",
            fields=[
                (
                    "device",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="registry.device",
                    ),
                ),
                ("from_at", models.DateTimeField()),
                ("until", models.DateTimeField()),
                ("reason", models.CharField(max_length=200)),
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
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    partitioned_table_sql(ROLLUPS, ROLLUP_COLUMNS, key="at")
                    + ROLLUP_INDEXES,
                    f"DROP TABLE {ROLLUPS}",
                ),
            ],
            state_operations=[
                migrations.CreateModel(
                    name="TelemetryRollup",
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
                        ("metric", models.CharField(max_length=64)),
                        (
                            "step",
                            models.PositiveSmallIntegerField(
                                choices=[(300, "5 min"), (3600, "1 h")]
                            ),
                        ),
                        ("at", models.DateTimeField()),
                        ("minimum", models.FloatField()),
                        ("maximum", models.FloatField()),
                        ("total", models.FloatField()),
                        ("count", models.PositiveIntegerField()),
                        ("last", models.FloatField()),
                        ("last_at", models.DateTimeField()),
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
                        "db_table": "state_telemetryrollup",
                    },
                ),
            ],
        ),
        migrations.CreateModel(
            name="TelemetrySummary",
            fields=[
                (
                    "device",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="registry.device",
                    ),
                ),
                ("latest", models.JSONField(default=dict)),
                ("indexed", models.JSONField(default=dict)),
                ("updated_at", models.DateTimeField(null=True)),
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
            name="Twin",
            fields=[
                (
                    "device",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="registry.device",
                    ),
                ),
                ("desired", models.JSONField(default=dict)),
                ("desired_version", models.BigIntegerField(default=0)),
                ("desired_at", models.DateTimeField(null=True)),
                ("reported", models.JSONField(default=dict)),
                ("reported_version", models.BigIntegerField(default=0)),
                ("reported_boot", models.BigIntegerField(null=True)),
                ("reported_session", models.CharField(blank=True, max_length=64)),
                ("reported_at", models.DateTimeField(null=True)),
                ("delta", models.JSONField(default=dict)),
                ("firmware", models.CharField(blank=True, max_length=64)),
                ("config_version", models.CharField(blank=True, max_length=64)),
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
            name="Alarm",
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
                ("code", models.CharField(max_length=64)),
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
                    "state",
                    models.CharField(
                        choices=[
                            ("raised", "raised"),
                            ("acknowledged", "acknowledged"),
                            ("cleared", "cleared"),
                        ],
                        default="raised",
                        max_length=12,
                    ),
                ),
                ("message", models.TextField(blank=True)),
                ("count", models.PositiveIntegerField(default=1)),
                ("raised_at", models.DateTimeField()),
                ("last_at", models.DateTimeField()),
                ("acknowledged_at", models.DateTimeField(blank=True, null=True)),
                ("cleared_at", models.DateTimeField(blank=True, null=True)),
                (
                    "acknowledged_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
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
            options={
                "indexes": [
                    models.Index(
                        fields=["device", "-last_at"], name="state_alarm_last"
                    ),
                    models.Index(
                        condition=models.Q(("state", "cleared"), _negated=True),
                        fields=["-id", "tenant"],
                        name="state_alarm_open",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("state", "cleared"), _negated=True),
                        fields=("device", "code"),
                        name="state_one_open_alarm_per_code",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Presence",
            fields=[
                (
                    "device",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="registry.device",
                    ),
                ),
                ("last_seen_at", models.DateTimeField(null=True)),
                ("last_activity_at", models.DateTimeField(null=True)),
                ("session", models.CharField(blank=True, max_length=64)),
                ("session_seq", models.BigIntegerField(null=True)),
                ("boot", models.BigIntegerField(null=True)),
                ("seq_high", models.BigIntegerField(null=True)),
                ("seq_window", models.BigIntegerField(default=0)),
                ("repeats", models.BigIntegerField(default=0)),
                ("heartbeat_seconds", models.PositiveIntegerField(null=True)),
                ("sleeping_until", models.DateTimeField(null=True)),
                (
                    "left_how",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "none"),
                            ("will", "last will with its session"),
                            ("bare_will", "last will without a session"),
                            ("goodbye", "goodbye"),
                        ],
                        default="",
                        max_length=16,
                    ),
                ),
                ("left_session", models.CharField(blank=True, max_length=64)),
                ("left_at", models.DateTimeField(null=True)),
                ("clock_skew", models.BooleanField(default=False)),
                (
                    "connectivity",
                    models.CharField(
                        choices=[
                            ("online", "online"),
                            ("suspect", "suspect"),
                            ("stale", "stale"),
                            ("offline", "offline"),
                        ],
                        default="offline",
                        max_length=8,
                    ),
                ),
                (
                    "cause",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("", "none"),
                            ("never_connected", "never connected"),
                            ("sleeping", "asleep, as it said"),
                            ("platform_blind", "the platform was not listening"),
                            ("gateway_offline", "its gateway is not online"),
                            ("invalid_messages", "heard, but nothing valid"),
                            ("last_will", "connection lost (last will)"),
                            ("goodbye", "said goodbye"),
                            ("missed_heartbeats", "silent for 5 intervals"),
                            ("missed_heartbeat", "silent for 2 intervals"),
                            ("will_without_session", "last will without a session"),
                        ],
                        default="never_connected",
                        max_length=24,
                    ),
                ),
                ("since", models.DateTimeField()),
                ("next_change_at", models.DateTimeField(null=True)),
                ("disconnects_72h", models.PositiveIntegerField(default=0)),
                ("recount_at", models.DateTimeField(null=True)),
                ("activity_bucket", models.DateTimeField(null=True)),
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
                "indexes": [
                    models.Index(
                        condition=models.Q(("next_change_at__isnull", False)),
                        fields=["next_change_at"],
                        name="state_presence_due",
                    )
                ],
            },
        ),
        migrations.RunSQL(HOT_TABLES, migrations.RunSQL.noop),
        migrations.RunPython(make_partitions, migrations.RunPython.noop),
    ]
