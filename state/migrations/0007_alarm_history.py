"""The history of alarms, by day; what flaps; the rules of alarms, open and held."""

import datetime
from typing import Any

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models
from django.db.models import Q

from iotplatform.common.partitions import ensure_partitions, partitioned_table_sql
from state.choices import AlarmMove, AlarmReason, AlarmState, Severity

CHANGES = "state_alarmchange"
CHANGE_COLUMNS = """
    tenant_id bigint NOT NULL,
    device_id bigint NOT NULL,
    alarm_id bigint NOT NULL,
    at timestamptz NOT NULL,
    move varchar(12) NOT NULL,
    reason varchar(16) NOT NULL,
    code varchar(64) NOT NULL,
    severity varchar(8) NOT NULL,
    count integer NOT NULL,
    message text NOT NULL,
    by_id bigint
"""
CHANGE_INDEXES = f"""
    CREATE INDEX state_alarmchange_by_device ON {CHANGES} (device_id, at);
    CREATE INDEX state_alarmchange_by_alarm ON {CHANGES} (alarm_id, at);
"""
# Of the alarms that are open, those that a rule may have raised: by code, as it was.
RULES_OF_OPEN = """
    UPDATE state_alarm a SET rule_id = r.id
    FROM registry_device d, state_alarmrule r
    WHERE a.device_id = d.id AND r.product_id = d.product_id AND r.code = a.code
        AND r.enabled AND a.state <> 'cleared'
        AND a.message LIKE r.metric || ' is %'
"""
# What the alarms themselves tell of what was.
STORY = f"""
    INSERT INTO {CHANGES} (tenant_id, device_id, alarm_id, at, move, reason, code,
        severity, count, message, by_id)
    SELECT a.tenant_id, a.device_id, a.id, m.at, m.move, m.reason, a.code, a.severity,
        a.count, a.message, m.by_id
    FROM state_alarm a CROSS JOIN LATERAL (VALUES
        (a.raised_at, 'raised', 'event', NULL),
        (a.acknowledged_at, 'acknowledged', 'person', a.acknowledged_by_id),
        (a.cleared_at, 'cleared', 'event', NULL)
    ) AS m(at, move, reason, by_id)
    WHERE m.at IS NOT NULL ORDER BY m.at, a.id
"""


def make_partitions(apps: object, schema_editor: object) -> None:
    """Make the partitions of the days around now; a task makes the next ones."""
    ensure_partitions(CHANGES, today=datetime.datetime.now(datetime.UTC).date())


def loose(to: str, **more: Any) -> models.ForeignKey[Any]:
    """Return a key without constraint: a partition is dropped whole."""
    return models.ForeignKey(
        db_constraint=False,
        db_index=False,
        on_delete=django.db.models.deletion.DO_NOTHING,
        related_name="+",
        to=to,
        **more,
    )


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0010_enrolment_batches"),
        ("state", "0006_alarm_rules"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="alarm",
            name="rule",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="state.alarmrule",
            ),
        ),
        *(
            migrations.AddField(
                model_name="alarm",
                name=name,
                field=models.DateTimeField(blank=True, null=True),
            )
            for name in ("flapping_since", "calm_since", "settles_at")
        ),
        migrations.AddField(
            model_name="alarm",
            name="flaps",
            field=models.PositiveIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="heldalarm",
            name="rule",
            field=models.ForeignKey(
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.DO_NOTHING,
                related_name="+",
                to="state.alarmrule",
            ),
        ),
        migrations.AlterField(
            model_name="heldalarm",
            name="due_at",
            field=models.DateTimeField(default=django.utils.timezone.now),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name="heldalarm",
            name="look_at",
            field=models.DateTimeField(
                db_index=True, default=django.utils.timezone.now
            ),
            preserve_default=False,
        ),
        migrations.AddIndex(
            model_name="alarm",
            index=models.Index(
                condition=Q(("settles_at__isnull", False)),
                fields=["settles_at"],
                name="state_alarm_settles",
            ),
        ),
        migrations.AddIndex(
            model_name="alarm",
            index=models.Index(
                condition=Q(("state", AlarmState.CLEARED)),
                fields=["cleared_at"],
                name="state_alarm_cleared",
            ),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    partitioned_table_sql(CHANGES, CHANGE_COLUMNS, key="at")
                    + CHANGE_INDEXES,
                    f"DROP TABLE {CHANGES}",
                ),
                migrations.RunPython(make_partitions, migrations.RunPython.noop),
                migrations.RunSQL(RULES_OF_OPEN, migrations.RunSQL.noop),
                migrations.RunSQL(STORY, migrations.RunSQL.noop),
            ],
            state_operations=[
                migrations.CreateModel(
                    name="AlarmChange",
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
                            "move",
                            models.CharField(choices=AlarmMove.choices, max_length=12),
                        ),
                        (
                            "reason",
                            models.CharField(
                                choices=AlarmReason.choices, max_length=16
                            ),
                        ),
                        ("code", models.CharField(max_length=64)),
                        (
                            "severity",
                            models.CharField(choices=Severity.choices, max_length=8),
                        ),
                        ("count", models.PositiveIntegerField()),
                        ("message", models.TextField(blank=True)),
                        ("tenant", loose("registry.tenant")),
                        ("device", loose("registry.device")),
                        ("alarm", loose("state.alarm")),
                        ("by", loose(settings.AUTH_USER_MODEL, null=True)),
                    ],
                    options={"db_table": CHANGES},
                ),
            ],
        ),
    ]
