"""What people change in fleet: their cohorts and snapshots."""

from django.db import migrations

from iotplatform.common.audit import audit_changes


class Migration(migrations.Migration):
    """Put the audit log's triggers on these tables."""

    dependencies = [("fleet", "0003_risk"), ("registry", "0005_audit")]
    operations = [
        audit_changes("fleet_cohort", kind="cohort"),
        audit_changes("fleet_snapshot", kind="snapshot"),
    ]
