"""Commands that wait for room behind a gateway, and pauses of jobs."""

from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("commands", "0009_delivery_minutes"),
        ("registry", "0017_audit_reads_rows_once"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="job",
            name="paused_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name="command",
            name="waits_for",
            field=models.CharField(
                blank=True,
                choices=[
                    ("", "nothing"),
                    ("device", "the device"),
                    ("time", "a time"),
                    ("gateway", "its gateway"),
                ],
                default="",
                max_length=8,
            ),
        ),
        migrations.AddIndex(
            model_name="command",
            index=models.Index(
                condition=models.Q(("status", "held"), ("waits_for", "gateway")),
                fields=["id"],
                name="commands_behind_gateway",
            ),
        ),
    ]
