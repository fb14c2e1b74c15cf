"""Which places are in maintenance now: a column that the fleet index can watch."""

from django.db import migrations, models

from iotplatform.common.audit import audit_changes

# Whoever writes a place: people, jobs, the admin, raw SQL. What time alone changes is
# written by the sweep, which names the column itself.
SET_IN_FORCE = """
CREATE FUNCTION state_maintenance_in_force() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $body$
BEGIN
    NEW.is_in_force := NEW.from_at <= clock_timestamp()
        AND NEW.until > clock_timestamp();
    RETURN NEW;
END $body$;
REVOKE ALL ON FUNCTION state_maintenance_in_force() FROM PUBLIC;
CREATE TRIGGER state_maintenance_in_force
    BEFORE INSERT OR UPDATE OF from_at, until ON state_maintenanceplace
    FOR EACH ROW EXECUTE FUNCTION state_maintenance_in_force();
"""
NOT_SET = """
DROP TRIGGER state_maintenance_in_force ON state_maintenanceplace;
DROP FUNCTION state_maintenance_in_force();
"""
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
