"""The attention inbox takes what playbooks ask of people."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("state", "0020_attention"),
    ]

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
                ],
                max_length=16,
            ),
        ),
    ]
