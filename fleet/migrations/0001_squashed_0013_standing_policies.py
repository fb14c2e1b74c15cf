"""Cohorts, bulk edits and policies, and the index with the outbox that feeds it."""

from dataclasses import replace

from django.db import migrations

from fleet.migrations import _squashed_cohorts, _squashed_index
from fleet.migrations._outbox_triggers import CURRENT, OUTBOX_OF_LANES, TUNE
from iotplatform.common.audit import audit_changes
from iotplatform.common.migration_operations import Together

WATCHED = [replace(table, outbox=OUTBOX_OF_LANES) for table in CURRENT]


class Migration(migrations.Migration):
    """An empty database takes this way; one that began before it, the old files."""

    initial = True
    replaces = [
        ("fleet", "0001_initial"),
        ("fleet", "0002_outbox_triggers"),
        ("fleet", "0003_risk"),
        ("fleet", "0004_audit"),
        ("fleet", "0005_spaces_and_batches"),
        ("fleet", "0006_cohort_owner"),
        ("fleet", "0007_cohort_sizes"),
        ("fleet", "0008_cohort_calls"),
        ("fleet", "0009_heartbeat_risk_and_maintenance"),
        ("fleet", "0010_indexer_epoch"),
        ("fleet", "0011_outbox_lanes"),
        ("fleet", "0012_bulk_edits"),
        ("fleet", "0013_standing_policies"),
    ]
    dependencies = [
        ("registry", "0009_squashed_0020_config_schema"),
        ("state", "0001_squashed_0022_troubled_devices"),
        ("commands", "0001_squashed_0022_job_health"),
    ]
    operations = [
        Together([*_squashed_cohorts.MODELS, *_squashed_index.MODELS]),
        migrations.RunSQL(TUNE, migrations.RunSQL.noop),
        *(migrations.RunSQL(table.create(), table.drop()) for table in WATCHED),
        audit_changes("fleet_cohort", kind="cohort"),
        audit_changes("fleet_snapshot", kind="snapshot"),
        audit_changes(
            "fleet_cohortcall", kind="cohort_call", ignored=["size", "back_at"]
        ),
        audit_changes(
            "fleet_fleetedit",
            kind="fleet_edit",
            ignored=["status", "worked_at", "ended_at", "detail"],
        ),
        audit_changes(
            "fleet_standingpolicy", kind="standing_policy", ignored=["looked_at"]
        ),
    ]
