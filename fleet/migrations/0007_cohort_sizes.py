"""How many devices each cohort had, over time."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    """A row for each time at which somebody could count."""

    dependencies = [
        ("fleet", "0006_cohort_owner"),
        ("registry", "0017_audit_reads_rows_once"),
    ]

    operations = [
        migrations.CreateModel(
            name="CohortSize",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("at", models.DateTimeField()),
                ("size", models.PositiveIntegerField()),
                (
                    "cohort",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="fleet.cohort",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.tenant",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("cohort", "at"), name="fleet_cohort_size_once_at_a_time"
                    )
                ],
            },
        ),
    ]
