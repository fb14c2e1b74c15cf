"""What people change in commands: single commands, and jobs as a whole."""

from django.db import migrations

from iotplatform.common.audit import audit_changes


class Migration(migrations.Migration):
    """Put the audit log's triggers on these tables."""

    dependencies = [("commands", "0002_outcomes_to_tell"), ("registry", "0005_audit")]
    operations = [
        audit_changes(
            "commands_command",
            kind="command",
            ignored=[
                "status_since",
                "due_at",
                "claim_token",
                "claimed_until",
                "attempt_count",
                "uncounted_attempts",
            ],
        ),
        audit_changes("commands_job", kind="job", ignored=["status_since"]),
    ]
