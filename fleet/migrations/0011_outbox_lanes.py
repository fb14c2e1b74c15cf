"""Two lanes of the outbox, and up to where it is empty."""

from django.db import migrations, models

from fleet.migrations._outbox_triggers import CURRENT, OUTBOX, OUTBOX_OF_LANES


class Migration(migrations.Migration):
    """What changes many devices at once waits for what changes a few."""

    dependencies = [("fleet", "0010_indexer_epoch")]
    operations = [
        migrations.AddField(
            model_name="outbox",
            name="lane",
            field=models.PositiveSmallIntegerField(
                choices=[(0, "Single"), (1, "Many")], db_default=0, default=0
            ),
        ),
        migrations.AddIndex(
            model_name="outbox",
            index=models.Index(
                condition=models.Q(("lane", 0)),
                fields=["id"],
                name="fleet_outbox_single",
            ),
        ),
        migrations.AddField(
            model_name="indexstate",
            name="emptied_outbox_id",
            field=models.BigIntegerField(db_default=0, default=0),
        ),
        *(
            migrations.RunSQL(
                table.replace_functions(OUTBOX_OF_LANES),
                table.replace_functions(OUTBOX),
            )
            for table in CURRENT
        ),
    ]
