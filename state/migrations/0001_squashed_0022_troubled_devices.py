"""What devices report, and what is made of it."""

from django.db import migrations

from iotplatform.common.audit import audit_changes
from iotplatform.common.migration_operations import Together
from state.migrations import (
    _maintenance,
    _past_twins,
    _risk_triggers,
    _squashed_alarms,
    _squashed_maintenance,
    _squashed_presence,
    _squashed_telemetry,
    _squashed_twins,
)
from state.migrations._tables import HOT_TABLES


class Migration(migrations.Migration):
    """An empty database takes this way; one that began before it, the old files."""

    initial = True
    replaces = [
        ("state", "0001_initial"),
        ("state", "0002_risk"),
        ("state", "0003_field_feedback"),
        ("state", "0004_audit"),
        ("state", "0005_maintenance"),
        ("state", "0006_alarm_rules"),
        ("state", "0007_alarm_history"),
        ("state", "0008_dead_letters"),
        ("state", "0009_rollup_key"),
        ("state", "0010_maintenance_places"),
        ("state", "0011_presence_sample"),
        ("state", "0012_waiting_departure"),
        ("state", "0013_held_heard"),
        ("state", "0014_event_order"),
        ("state", "0015_alarm_back"),
        ("state", "0016_last_finding"),
        ("state", "0017_past_twins"),
        ("state", "0018_desired_asks"),
        ("state", "0019_maintenance_in_force"),
        ("state", "0020_attention"),
        ("state", "0021_playbook_attention"),
        ("state", "0022_troubled_devices"),
    ]
    dependencies = [("registry", "0009_squashed_0020_config_schema")]
    operations = [
        Together(
            [
                *_squashed_presence.MODELS,
                *_squashed_twins.MODELS,
                *_squashed_telemetry.MODELS,
                *_squashed_alarms.MODELS,
                *_squashed_maintenance.MODELS,
            ]
        ),
        migrations.RunSQL(HOT_TABLES, migrations.RunSQL.noop),
        migrations.RunSQL(_risk_triggers.CREATE, _risk_triggers.DROP),
        migrations.RunSQL(_risk_triggers.TUNE, migrations.RunSQL.noop),
        migrations.RunSQL(_past_twins.CREATE, _past_twins.DROP),
        # With devices there already, after a step back to zero, the past begins now.
        migrations.RunSQL(_past_twins.START, migrations.RunSQL.noop),
        migrations.RunSQL(_maintenance.SET_IN_FORCE, _maintenance.NOT_SET),
        audit_changes(
            "state_alarm", kind="alarm", ignored=["last_at", "count", "message"]
        ),
        audit_changes("state_alarmrule", kind="alarm_rule"),
        audit_changes("state_deadletter", kind="dead_letter", ignored=["payload"]),
        audit_changes("state_fieldfeedback", kind="field_feedback"),
        audit_changes("state_maintenancewindow", kind="maintenance_window"),
        audit_changes(
            "state_maintenanceplace", kind="maintenance_place", ignored=["is_in_force"]
        ),
        audit_changes(
            "state_twin",
            kind="twin",
            key="device_id",
            ignored=[
                "desired_at",
                "reported",
                "reported_version",
                "reported_boot",
                "reported_session",
                "reported_at",
                "delta",
                "firmware",
                "config_version",
                "desired_asks",
            ],
        ),
    ]
