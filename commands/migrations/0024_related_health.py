"""A job's health, hold and rollback are read with it; the database does not change."""

from typing import Any

from django.db import migrations, models
from django.db.models import CASCADE


def _row_of_a_job(name: str) -> Any:
    return models.OneToOneField(
        "commands.job",
        on_delete=CASCADE,
        primary_key=True,
        related_name=name,
        serialize=False,
    )


class Migration(migrations.Migration):
    """Name the way from a job to its rows."""

    dependencies = [("commands", "0023_exceptions_first")]
    operations = [
        migrations.AlterField("heldchange", "job", _row_of_a_job("held_change")),
        migrations.AlterField("jobhealth", "job", _row_of_a_job("health")),
        migrations.AlterField("jobrollback", "job", _row_of_a_job("rollback")),
        migrations.AlterField(
            "jobrollback",
            "of",
            models.OneToOneField(
                "commands.job", on_delete=CASCADE, related_name="rolled_back_by"
            ),
        ),
    ]
