"""Watch the risk of devices, which is in their documents."""

from django.db import migrations

from fleet.migrations._outbox_triggers import RISK


class Migration(migrations.Migration):
    """A trigger on the table of risks."""

    dependencies = [
        ("fleet", "0002_outbox_triggers"),
        ("state", "0002_risk"),
    ]
    operations = [migrations.RunSQL(RISK.create(), RISK.drop())]
