"""Days of the SLA report, counted ahead, and what tells which are counted again."""

import django.db.models.deletion
from django.db import migrations, models

from console.migrations._sla_triggers import EVIDENCE


class Migration(migrations.Migration):
    dependencies = [
        ("console", "0007_notification_sending"),
        ("registry", "0020_config_schema"),
    ]

    operations = [
        migrations.CreateModel(
            name="SlaDay",
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
                ("day", models.DateField()),
                ("from_at", models.DateTimeField()),
                ("until", models.DateTimeField()),
                ("is_settled", models.BooleanField(default=False)),
                ("active", models.FloatField()),
                ("platform", models.FloatField()),
                ("maintenance", models.FloatField()),
                ("job", models.FloatField()),
                ("adapter", models.FloatField()),
                ("gateway", models.FloatField()),
                ("site_itself", models.FloatField()),
                ("unknown", models.FloatField()),
                ("device", models.FloatField()),
                (
                    "project",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="registry.project",
                    ),
                ),
                (
                    "site",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="registry.site",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="registry.tenant",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["day"], name="console_sla_day_by_age")
                ],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "site", "project", "day"),
                        name="console_sla_day_once",
                        nulls_distinct=False,
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="SlaRecount",
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
                ("from_at", models.DateTimeField()),
                ("until", models.DateTimeField()),
                (
                    "project",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="registry.project",
                    ),
                ),
                (
                    "site",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="registry.site",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="registry.tenant",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        fields=["tenant", "site"], name="console_sla_recount_of"
                    )
                ],
            },
        ),
        *(migrations.RunSQL(each.create(), each.drop()) for each in EVIDENCE),
    ]
