"""What devices measured, and messages that nobody understood."""

from django.conf import settings
from django.db import migrations, models

from iotplatform.common.migration_operations import partitioned_table, public_id, row_id
from state.migrations._tables import ROLLUP_COLUMNS, ROLLUP_INDEXES

MODELS = [
    migrations.CreateModel(
        name="TelemetrySummary",
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
            ("latest", models.JSONField(default=dict)),
            ("indexed", models.JSONField(default=dict)),
            ("updated_at", models.DateTimeField(null=True)),
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
    partitioned_table(
        migrations.CreateModel(
            name="TelemetryRollup",
            fields=[
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
                    "pk",
                    models.CompositePrimaryKey(
                        "device_id",
                        "metric",
                        "step",
                        "at",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
            ],
            options={"db_table": "state_telemetryrollup"},
        ),
        columns=ROLLUP_COLUMNS,
        key="at",
        indexes=ROLLUP_INDEXES,
        has_id=False,
    ),
    migrations.CreateModel(
        name="DeadLetter",
        fields=[
            row_id(),
            public_id(),
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
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.tenant",
                ),
            ),
            (
                "outcome",
                models.CharField(
                    blank=True,
                    choices=[
                        ("taken", "taken"),
                        ("repeated", "repeated"),
                        ("outdated", "outdated"),
                        ("refused", "refused"),
                    ],
                    max_length=8,
                ),
            ),
            ("outcome_detail", models.TextField(blank=True)),
            ("replayed_at", models.DateTimeField(blank=True, null=True)),
            (
                "replayed_by",
                models.ForeignKey(
                    blank=True,
                    null=True,
                    on_delete=models.SET_NULL,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            ("sender", models.CharField(blank=True, max_length=64)),
        ],
        options={
            "indexes": [
                models.Index(
                    fields=["sender", "-id"], name="state_deadletter_by_sender"
                ),
                models.Index(
                    fields=["tenant", "-id"], name="state_deadletter_by_tenant"
                ),
            ]
        },
    ),
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
]
