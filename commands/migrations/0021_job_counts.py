"""Counts of the members of jobs, which triggers keep."""

import django.db.models.deletion
from django.db import migrations, models

from commands.migrations._job_count_triggers import CREATE, DROP


class Migration(migrations.Migration):
    dependencies = [
        ("commands", "0020_job_tokens"),
        ("registry", "0018_past_devices"),
    ]

    operations = [
        migrations.CreateModel(
            name="JobCount",
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
                ("wave", models.PositiveIntegerField(blank=True, null=True)),
                ("status", models.CharField(max_length=16)),
                ("failure_class", models.CharField(blank=True, max_length=24)),
                ("waits_for", models.CharField(blank=True, max_length=8)),
                ("is_ended", models.BooleanField(default=False)),
                ("is_passed_over", models.BooleanField(default=False)),
                ("members", models.IntegerField()),
                (
                    "job",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="commands.job",
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
        ),
        migrations.RunSQL(CREATE, DROP),
    ]
