"""Gateways that do not go with their children are work items."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("console", "0008_sla_days")]

    operations = [
        migrations.AlterField(
            model_name="attentionitem",
            name="kind",
            field=models.CharField(
                choices=[
                    ("command", "command"),
                    ("job", "job"),
                    ("approval", "approval"),
                    ("playbook_step", "playbook step"),
                    ("mixed", "mixed firmware"),
                ],
                max_length=16,
            ),
        ),
        migrations.AlterField(
            model_name="attentionitem",
            name="object_kind",
            field=models.CharField(
                choices=[
                    ("command", "command"),
                    ("job", "job"),
                    ("playbook_run", "playbook run"),
                    ("device", "device"),
                ],
                max_length=16,
            ),
        ),
    ]
