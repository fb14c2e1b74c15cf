"""Watch spaces, hardware revisions and batches, which are in documents now."""

from django.db import migrations

from fleet.migrations._outbox_triggers import DEVICE, FIRST_DEVICE, PLACES


class Migration(migrations.Migration):
    """More columns of a device, and triggers on the tables that they refer to."""

    dependencies = [("fleet", "0004_audit"), ("registry", "0008_spaces_and_batches")]
    operations = [
        migrations.RunSQL(
            FIRST_DEVICE.drop() + DEVICE.create(), DEVICE.drop() + FIRST_DEVICE.create()
        ),
        *(migrations.RunSQL(table.create(), table.drop()) for table in PLACES),
    ]
