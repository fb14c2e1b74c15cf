"""Who asked for each desired key, and when; the audit log leaves that out."""

from django.db import migrations, models

from iotplatform.common.audit import audit_changes

BY_THEMSELVES = [
    "desired_at",
    "reported",
    "reported_version",
    "reported_boot",
    "reported_session",
    "reported_at",
    "delta",
    "firmware",
    "config_version",
]
OLD = audit_changes("state_twin", kind="twin", key="device_id", ignored=BY_THEMSELVES)


class Migration(migrations.Migration):
    dependencies = [
        ("state", "0017_past_twins"),
    ]

    operations = [
        migrations.AddField(
            model_name="twin",
            name="desired_asks",
            field=models.JSONField(default=dict),
        ),
        migrations.RunSQL(OLD.reverse_sql or "", OLD.sql),
        audit_changes(
            "state_twin",
            kind="twin",
            key="device_id",
            ignored=[*BY_THEMSELVES, "desired_asks"],
        ),
    ]
