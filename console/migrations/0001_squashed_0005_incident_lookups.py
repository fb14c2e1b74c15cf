"""Incidents, playbooks and webhooks."""

from django.db import migrations

from console.migrations import (
    _squashed_attention,
    _squashed_incidents,
    _squashed_playbooks,
    _squashed_webhooks,
)
from console.migrations._event_triggers import SOURCES
from iotplatform.common.audit import audit_changes
from iotplatform.common.migration_operations import Together


class Migration(migrations.Migration):
    """An empty database takes this way; one that began before it, the old files."""

    initial = True
    replaces = [
        ("console", "0001_attention"),
        ("console", "0002_incidents"),
        ("console", "0003_playbooks"),
        ("console", "0004_webhooks"),
        ("console", "0005_incident_lookups"),
    ]
    dependencies = [
        ("registry", "0009_squashed_0020_config_schema"),
        ("state", "0001_squashed_0022_troubled_devices"),
        ("commands", "0001_squashed_0022_job_health"),
    ]
    operations = [
        Together(
            [
                *_squashed_attention.MODELS,
                *_squashed_incidents.MODELS,
                *_squashed_playbooks.MODELS,
                *_squashed_webhooks.MODELS,
            ]
        ),
        audit_changes("console_attentionitem", kind="attention_item"),
        audit_changes(
            "console_incident",
            kind="incident",
            # They change by themselves.
            ignored=("calm_since", "device_count"),
        ),
        audit_changes("console_slapolicy", kind="sla_policy"),
        audit_changes("console_playbook", kind="playbook"),
        audit_changes("console_playbookrun", kind="playbook_run"),
        audit_changes(
            "console_webhook",
            kind="webhook",
            secrets=["url", "secret"],
            ignored=["resumes_at"],
        ),
        audit_changes("console_webhookhost", kind="webhook_host"),
        *(migrations.RunSQL(each.create(), each.drop()) for each in SOURCES),
    ]
