"""Commands, jobs, and what is left to deliver."""

from django.db import migrations

from commands.migrations import (
    _job_count_triggers,
    _squashed_commands,
    _squashed_definitions,
    _squashed_delivery,
    _squashed_job_health,
    _squashed_jobs,
)
from iotplatform.common.audit import audit_changes
from iotplatform.common.migration_operations import Together


class Migration(migrations.Migration):
    """An empty database takes this way; one that began before it, the old files."""

    initial = True
    replaces = [
        ("commands", "0001_initial"),
        ("commands", "0002_outcomes_to_tell"),
        ("commands", "0003_audit"),
        ("commands", "0004_member_in_place_of"),
        ("commands", "0005_attempts_interrupted"),
        ("commands", "0006_clock_stopped"),
        ("commands", "0007_job_started_at"),
        ("commands", "0008_claim_queues"),
        ("commands", "0009_delivery_minutes"),
        ("commands", "0010_gateways_and_pauses"),
        ("commands", "0011_needs_person"),
        ("commands", "0012_command_definitions"),
        ("commands", "0013_absent_gateways"),
        ("commands", "0014_device_files"),
        ("commands", "0015_redundant_indexes"),
        ("commands", "0016_wave_without_result"),
        ("commands", "0017_lane_by_hand"),
        ("commands", "0018_passed_over"),
        ("commands", "0019_job_approvals"),
        ("commands", "0020_job_tokens"),
        ("commands", "0021_job_counts"),
        ("commands", "0022_job_health"),
    ]
    dependencies = [("registry", "0009_squashed_0020_config_schema")]
    operations = [
        Together(
            [
                *_squashed_commands.MODELS,
                *_squashed_delivery.MODELS,
                *_squashed_definitions.MODELS,
                *_squashed_jobs.MODELS,
                *_squashed_job_health.MODELS,
            ]
        ),
        migrations.RunSQL(_job_count_triggers.CREATE, _job_count_triggers.DROP),
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
                "clock_stopped_at",
                "adapter",
                "lane",
                "job_queue",
            ],
        ),
        audit_changes("commands_commanddefinition", kind="command_definition"),
        audit_changes("commands_job", kind="job", ignored=["status_since"]),
    ]
