"""Dead letters: whose they are, what came of taking them in again, who did that."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from iotplatform.common.audit import audit_changes


class Migration(migrations.Migration):
    """Add the columns, and have every replay recorded."""

    dependencies = [
        ("registry", "0014_device_imports"),
        ("state", "0007_alarm_history"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name="deadletter",
            name="outcome",
            field=models.CharField(
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
        migrations.AddField(
            model_name="deadletter",
            name="outcome_detail",
            field=models.TextField(blank=True),
        ),
        migrations.AddField(
            model_name="deadletter",
            name="replayed_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="deadletter",
            name="replayed_by",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="deadletter",
            name="sender",
            field=models.CharField(blank=True, max_length=64),
        ),
        migrations.AddIndex(
            model_name="deadletter",
            index=models.Index(
                fields=["sender", "-id"], name="state_deadletter_by_sender"
            ),
        ),
        migrations.AddIndex(
            model_name="deadletter",
            index=models.Index(
                fields=["tenant", "-id"], name="state_deadletter_by_tenant"
            ),
        ),
        audit_changes("state_deadletter", kind="dead_letter", ignored=["payload"]),
    ]
