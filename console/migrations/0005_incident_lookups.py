"""Columns of the sweep, and how it finds live devices and ended incidents."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("console", "0004_webhooks"),
    ]

    operations = [
        migrations.AddField(
            model_name="incident",
            name="alarm_count",
            field=models.PositiveIntegerField(db_default=0),
        ),
        migrations.AddField(
            model_name="incident",
            name="claim_until",
            field=models.DateTimeField(null=True),
        ),
        migrations.AddField(
            model_name="incident",
            name="is_held_open",
            field=models.BooleanField(db_default=False, default=False),
        ),
        migrations.AddIndex(
            model_name="incident",
            index=models.Index(
                fields=["tenant", "object_id", "cause"], name="console_incident_of"
            ),
        ),
        migrations.AddIndex(
            model_name="incidentmember",
            index=models.Index(
                condition=models.Q(("until", None)),
                fields=["incident"],
                name="console_member_live",
            ),
        ),
    ]
