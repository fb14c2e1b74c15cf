"""Triggers that put every device whose document may have changed into the outbox."""

from django.db import migrations

from fleet.migrations._outbox_triggers import CREATE, DROP, TUNE


class Migration(migrations.Migration):
    """Watch the tables of registry, state and commands that documents are made of."""

    dependencies = [
        ("fleet", "0001_initial"),
        ("registry", "0001_initial"),
        ("state", "0001_initial"),
        ("commands", "0001_initial"),
    ]
    operations = [
        migrations.RunSQL(CREATE, DROP),
        migrations.RunSQL(TUNE, migrations.RunSQL.noop),
    ]
