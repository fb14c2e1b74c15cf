"""When a held complaint was heard, by our clock: the device's own may be off."""

from django.db import migrations, models
from django.db.models.functions import Now

# Of what is held already only the device's time is known, and that it is past.
HEARD = "UPDATE state_heldalarm SET heard_at = least(last_at, heard_at)"


class Migration(migrations.Migration):
    """Add the column; bridges of before that still run fill it by its default."""

    dependencies = [
        ("state", "0012_waiting_departure"),
    ]

    operations = [
        migrations.AddField(
            model_name="heldalarm",
            name="heard_at",
            field=models.DateTimeField(db_default=Now()),
        ),
        migrations.RunSQL(HEARD, migrations.RunSQL.noop),
    ]
