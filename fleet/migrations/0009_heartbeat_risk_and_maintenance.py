"""Watch the points of a risk and the maintenance in force, which documents show now."""

from django.db import migrations

from fleet.migrations._outbox_triggers import HEARTBEAT_RISK, MAINTENANCE, RISK


class Migration(migrations.Migration):
    """More of a risk, and triggers on the places of maintenance."""

    dependencies = [
        ("fleet", "0008_cohort_calls"),
        ("state", "0019_maintenance_in_force"),
    ]
    operations = [
        migrations.RunSQL(
            RISK.drop() + HEARTBEAT_RISK.create(), HEARTBEAT_RISK.drop() + RISK.create()
        ),
        migrations.RunSQL(MAINTENANCE.create(), MAINTENANCE.drop()),
    ]
