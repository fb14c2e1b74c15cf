"""Who is connected, and how that is known."""

from django.db import migrations, models

from iotplatform.common.migration_operations import partitioned_table, row_id
from state.migrations._tables import TRANSITION_COLUMNS, TRANSITION_INDEXES

MODELS = [
    migrations.CreateModel(
        name="Presence",
        fields=[
            (
                "device",
                models.OneToOneField(
                    on_delete=models.CASCADE,
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
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.tenant",
                ),
            ),
            ("waiting_at", models.DateTimeField(null=True)),
            (
                "waiting_how",
                models.CharField(
                    blank=True,
                    choices=[
                        ("", "none"),
                        ("will", "last will with its session"),
                        ("bare_will", "last will without a session"),
                        ("goodbye", "goodbye"),
                    ],
                    db_default="",
                    max_length=16,
                ),
            ),
            (
                "waiting_session",
                models.CharField(blank=True, db_default="", max_length=64),
            ),
        ],
        options={
            "indexes": [
                models.Index(
                    condition=models.Q(("next_change_at__isnull", False)),
                    fields=["next_change_at"],
                    name="state_presence_due",
                ),
                models.Index(
                    models.F("tenant"),
                    models.Func("device", function="hashint8"),
                    name="state_presence_sample",
                ),
                models.Index(
                    condition=models.Q(
                        ("connectivity__in", ["offline", "stale"]),
                        models.Q(
                            ("cause__in", ["never_connected", "goodbye", ""]),
                            _negated=True,
                        ),
                    ),
                    fields=["device"],
                    name="state_presence_troubled",
                ),
            ]
        },
    ),
    partitioned_table(
        migrations.CreateModel(
            name="ConnectivityTransition",
            fields=[
                row_id(),
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
                            ("platform_blind", "the platform was not listening"),
                            ("gateway_offline", "its gateway is not online"),
                            ("invalid_messages", "heard, but nothing valid"),
                            ("last_will", "connection lost (last will)"),
                            ("goodbye", "said goodbye"),
                            ("missed_heartbeats", "silent for 5 intervals"),
                            ("missed_heartbeat", "silent for 2 intervals"),
                            ("will_without_session", "last will without a session"),
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
                        on_delete=models.DO_NOTHING,
                        related_name="+",
                        to="registry.device",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=models.DO_NOTHING,
                        related_name="+",
                        to="registry.tenant",
                    ),
                ),
                (
                    "cause_from",
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
                        db_default="",
                        max_length=24,
                    ),
                ),
            ],
            options={"db_table": "state_connectivitytransition"},
        ),
        columns=TRANSITION_COLUMNS,
        key="at",
        indexes=TRANSITION_INDEXES,
    ),
    migrations.CreateModel(
        name="ExpectedDisconnect",
        fields=[
            (
                "device",
                models.OneToOneField(
                    on_delete=models.CASCADE,
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
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.tenant",
                ),
            ),
        ],
    ),
    migrations.CreateModel(
        name="BlindSpan",
        fields=[
            row_id(),
            ("slot", models.PositiveSmallIntegerField()),
            ("from_at", models.DateTimeField()),
            ("to_at", models.DateTimeField()),
        ],
        options={
            "indexes": [models.Index(fields=["to_at"], name="state_blindspan_by_end")]
        },
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
        name="AdapterPath",
        fields=[
            (
                "adapter",
                models.CharField(
                    choices=[("mqtt", "MQTT"), ("http", "HTTP")],
                    max_length=16,
                    primary_key=True,
                    serialize=False,
                ),
            ),
            ("at", models.DateTimeField()),
            ("tries", models.PositiveIntegerField(default=0)),
            ("unanswered", models.PositiveIntegerField(default=0)),
            ("latency_p50_ms", models.FloatField(null=True)),
            ("latency_p95_ms", models.FloatField(null=True)),
            ("usual_p95_ms", models.FloatField(null=True)),
        ],
    ),
]
