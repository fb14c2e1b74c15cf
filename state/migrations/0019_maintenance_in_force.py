"""Which places are in maintenance now: a column that the fleet index can watch."""

from django.db import migrations, models

from iotplatform.common.audit import audit_changes
from state.migrations._maintenance import NOT_SET, SET_IN_FORCE

AUDITED = audit_changes("state_maintenanceplace", kind="maintenance_place")
WITHOUT_CLOCK = audit_changes(
    "state_maintenanceplace", kind="maintenance_place", ignored=["is_in_force"]
)


class Migration(migrations.Migration):
    """Mark the places in force, and keep that out of the audit log."""

    dependencies = [
        ("state", "0018_desired_asks"),
    ]

    operations = [
        migrations.AddField(
            model_name="maintenanceplace",
            name="is_in_force",
            field=models.BooleanField(db_default=False, editable=False),
        ),
        migrations.AddIndex(
            model_name="maintenanceplace",
            index=models.Index(
                condition=models.Q(("is_in_force", True)),
                fields=["device"],
                name="state_place_device_in_force",
            ),
        ),
        migrations.AddIndex(
            model_name="maintenanceplace",
            index=models.Index(
                condition=models.Q(("is_in_force", True)),
                fields=["site"],
                name="state_place_site_in_force",
            ),
        ),
        migrations.AddIndex(
            model_name="maintenanceplace",
            index=models.Index(
                condition=models.Q(("is_in_force", True)),
                fields=["until"],
                name="state_place_ends",
            ),
        ),
        migrations.AddIndex(
            model_name="maintenanceplace",
            index=models.Index(
                condition=models.Q(("is_in_force", False)),
                fields=["until"],
                name="state_place_begins",
            ),
        ),
        migrations.RunSQL(SET_IN_FORCE, NOT_SET),
        migrations.RunSQL(
            f"{AUDITED.reverse_sql}\n{WITHOUT_CLOCK.sql}",
            f"{WITHOUT_CLOCK.reverse_sql}\n{AUDITED.sql}",
        ),
    ]
