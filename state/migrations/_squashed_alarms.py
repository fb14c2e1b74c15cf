"""Alarms and their rules."""

import django.core.validators
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

from iotplatform.common.migration_operations import partitioned_table, public_id, row_id
from state.migrations._tables import ALARM_CHANGE_COLUMNS, ALARM_CHANGE_INDEXES

MODELS = [
    migrations.CreateModel(
        name="Alarm",
        fields=[
            row_id(),
            public_id(),
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
                    on_delete=models.SET_NULL,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "device",
                models.ForeignKey(
                    on_delete=models.CASCADE, related_name="+", to="registry.device"
                ),
            ),
            (
                "tenant",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="+", to="registry.tenant"
                ),
            ),
            (
                "rule",
                models.ForeignKey(
                    blank=True,
                    db_constraint=False,
                    null=True,
                    on_delete=models.SET_NULL,
                    related_name="+",
                    to="state.alarmrule",
                ),
            ),
            ("flapping_since", models.DateTimeField(blank=True, null=True)),
            ("calm_since", models.DateTimeField(blank=True, null=True)),
            ("settles_at", models.DateTimeField(blank=True, null=True)),
            ("flaps", models.PositiveIntegerField(default=0)),
            ("back_at", models.DateTimeField(blank=True, null=True)),
        ],
        options={
            "indexes": [
                models.Index(fields=["device", "-last_at"], name="state_alarm_last"),
                models.Index(
                    condition=models.Q(("state", "cleared"), _negated=True),
                    fields=["-id", "tenant"],
                    name="state_alarm_open",
                ),
                models.Index(
                    condition=models.Q(("settles_at__isnull", False)),
                    fields=["settles_at"],
                    name="state_alarm_settles",
                ),
                models.Index(
                    condition=models.Q(("state", "cleared")),
                    fields=["cleared_at"],
                    name="state_alarm_cleared",
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
    partitioned_table(
        migrations.CreateModel(
            name="AlarmChange",
            fields=[
                row_id(),
                ("at", models.DateTimeField()),
                (
                    "move",
                    models.CharField(
                        choices=[
                            ("raised", "raised"),
                            ("acknowledged", "acknowledged"),
                            ("flapping", "comes and goes"),
                            ("steady", "no longer comes and goes"),
                            ("severity", "severity changed"),
                            ("cleared", "cleared"),
                        ],
                        max_length=12,
                    ),
                ),
                (
                    "reason",
                    models.CharField(
                        choices=[
                            ("event", "reported by the device"),
                            ("rule", "a value crossed the rule's threshold"),
                            ("held", "it lasted for the rule's hold time"),
                            ("maintenance", "still there after maintenance"),
                            ("person", "a person acknowledged it"),
                            ("again", "raised and cleared again and again"),
                            ("settled", "no change for a while"),
                            ("rule_changed", "its rule was changed"),
                            ("rule_off", "its rule was switched off"),
                            ("rule_deleted", "its rule was deleted"),
                            ("out_of_service", "the device left service"),
                            (
                                "handed_over",
                                "the device was transferred to another tenant",
                            ),
                        ],
                        max_length=16,
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
                ("count", models.PositiveIntegerField()),
                ("message", models.TextField(blank=True)),
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
                    "alarm",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=models.DO_NOTHING,
                        related_name="+",
                        to="state.alarm",
                    ),
                ),
                (
                    "by",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=models.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
            ],
            options={"db_table": "state_alarmchange"},
        ),
        columns=ALARM_CHANGE_COLUMNS,
        key="at",
        indexes=ALARM_CHANGE_INDEXES,
    ),
    migrations.CreateModel(
        name="AlarmRule",
        fields=[
            row_id(),
            public_id(),
            ("name", models.CharField(max_length=200)),
            ("metric", models.CharField(max_length=64)),
            (
                "comparison",
                models.CharField(
                    choices=[
                        (">", "above"),
                        (">=", "at or above"),
                        ("<", "below"),
                        ("<=", "at or below"),
                    ],
                    max_length=2,
                ),
            ),
            ("threshold", models.FloatField()),
            ("hold_seconds", models.PositiveIntegerField(default=0)),
            ("hysteresis", models.FloatField(default=0)),
            (
                "severity",
                models.CharField(
                    choices=[
                        ("info", "info"),
                        ("warning", "warning"),
                        ("critical", "critical"),
                    ],
                    default="warning",
                    max_length=8,
                ),
            ),
            (
                "code",
                models.CharField(
                    max_length=64,
                    validators=[
                        django.core.validators.RegexValidator("\\A[A-Za-z0-9._:-]+\\Z")
                    ],
                ),
            ),
            ("enabled", models.BooleanField(default=False)),
            (
                "product",
                models.ForeignKey(
                    on_delete=models.CASCADE, related_name="+", to="registry.product"
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
                    fields=("product", "code"), name="state_one_rule_per_code"
                ),
                models.CheckConstraint(
                    condition=models.Q(("hysteresis__gte", 0)),
                    name="state_rule_hysteresis",
                ),
            ]
        },
    ),
    migrations.CreateModel(
        name="HeldAlarm",
        fields=[
            row_id(),
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
            ("message", models.TextField(blank=True)),
            ("count", models.PositiveIntegerField(default=1)),
            ("last_at", models.DateTimeField()),
            (
                "device",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.CASCADE,
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
            ("due_at", models.DateTimeField()),
            (
                "rule",
                models.ForeignKey(
                    db_constraint=False,
                    null=True,
                    on_delete=models.DO_NOTHING,
                    related_name="+",
                    to="state.alarmrule",
                ),
            ),
            ("look_at", models.DateTimeField(db_index=True)),
            (
                "heard_at",
                models.DateTimeField(
                    db_default=django.db.models.functions.datetime.Now()
                ),
            ),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    fields=("device", "code"), name="state_one_held_alarm_per_code"
                )
            ]
        },
    ),
    migrations.CreateModel(
        name="EventOrder",
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
            ("words", models.JSONField(default=dict)),
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
]
