"""What people change in state: acknowledgements, feedback, desired documents."""

from django.db import migrations

from iotplatform.common.audit import audit_changes


class Migration(migrations.Migration):
    """Put the audit log's triggers on these tables."""

    dependencies = [("state", "0003_field_feedback"), ("registry", "0005_audit")]
    operations = [
        audit_changes(
            "state_alarm", kind="alarm", ignored=["last_at", "count", "message"]
        ),
        audit_changes("state_fieldfeedback", kind="field_feedback"),
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
            ],
        ),
    ]
