"""Which indexer writes now, and how far its rebuild is."""

from django.db import migrations, models


class Migration(migrations.Migration):
    """A number that each indexer raises when it begins, and its progress."""

    dependencies = [("fleet", "0009_heartbeat_risk_and_maintenance")]
    operations = [
        migrations.AddField(
            model_name="indexstate",
            name="epoch",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="indexstate",
            name="rebuild_done",
            field=models.BigIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="indexstate",
            name="rebuild_total",
            field=models.BigIntegerField(default=0),
        ),
    ]
