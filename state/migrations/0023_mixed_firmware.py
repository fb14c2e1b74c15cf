"""The attention inbox takes gateways that do not go with their children."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("state", "0022_troubled_devices")]

    operations = [
        migrations.AlterField(
            model_name="attentionentry",
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
            model_name="attentionentry",
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
