"""The queues of commands that wait for an adapter; three redundant indexes go."""

import django.db.models.deletion
import django.db.models.functions.comparison
from django.conf import settings
from django.db import migrations, models

from iotplatform.common.audit import audit_changes

# Ended commands keep the defaults: nobody claims them.
FILL = """
    UPDATE commands_command c SET adapter = d.adapter,
        lane = CASE WHEN c.job_id IS NULL AND c.command_class = 'control' THEN 0
            WHEN c.attempt_count > c.uncounted_attempts THEN 2
            WHEN c.job_id IS NULL THEN 1 ELSE 3 END
    FROM registry_device d WHERE d.id = c.device_id AND c.ended_at IS NULL
"""
BY_THEMSELVES = [
    "status_since",
    "due_at",
    "claim_token",
    "claimed_until",
    "attempt_count",
    "uncounted_attempts",
]
OLD = audit_changes("commands_command", kind="command", ignored=BY_THEMSELVES)


class Migration(migrations.Migration):
    dependencies = [
        ("commands", "0007_job_started_at"),
        ("registry", "0017_audit_reads_rows_once"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="command",
            name="commands_to_dispatch",
        ),
        migrations.AddField(
            model_name="command",
            name="adapter",
            field=models.CharField(
                choices=[("mqtt", "MQTT"), ("http", "HTTP")],
                db_default="mqtt",
                default="mqtt",
                max_length=16,
            ),
        ),
        migrations.AddField(
            model_name="command",
            name="lane",
            field=models.PositiveSmallIntegerField(
                choices=[(0, "control"), (1, "person"), (2, "retry"), (3, "job")],
                db_default=1,
                default=1,
            ),
        ),
        migrations.AddField(
            model_name="command",
            name="job_queue",
            field=models.GeneratedField(
                db_persist=True,
                expression=django.db.models.functions.comparison.Coalesce(
                    "job", 0, output_field=models.BigIntegerField()
                ),
                output_field=models.BigIntegerField(),
            ),
        ),
        migrations.AlterField(
            model_name="command",
            name="device",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="registry.device",
            ),
        ),
        migrations.AlterField(
            model_name="command",
            name="job",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="commands.job",
            ),
        ),
        migrations.AlterField(
            model_name="command",
            name="tenant",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="registry.tenant",
            ),
        ),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
        migrations.RunSQL(OLD.reverse_sql or "", OLD.sql),
        audit_changes(
            "commands_command",
            kind="command",
            ignored=[
                *BY_THEMSELVES,
                "clock_stopped_at",
                "adapter",
                "lane",
                "job_queue",
            ],
        ),
        migrations.AddIndex(
            model_name="command",
            index=models.Index(
                fields=["adapter", "lane", "tenant", "job_queue", "due_at", "id"],
                name="commands_to_claim",
                condition=models.Q(("claim_token__isnull", True), ("status", "queued")),
            ),
        ),
    ]
