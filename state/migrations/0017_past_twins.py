"""Keep what twins reported before, the cause before a transition, and since when."""

import datetime
from typing import Any

import django.db.models.deletion
from django.db import migrations, models

from iotplatform.common.partitions import ensure_partitions, partitioned_table_sql
from state.choices import Cause
from state.migrations._past_twins import COLUMNS, CREATE, DROP, INDEX, PAST, START


def make_partitions(apps: object, schema_editor: object) -> None:
    """Make the partitions of the days around now; a task makes the next ones."""
    ensure_partitions(PAST, today=datetime.datetime.now(datetime.UTC).date())


def loose(to: str) -> models.ForeignKey[Any]:
    """Return a key without constraint: a partition is dropped whole."""
    return models.ForeignKey(
        db_constraint=False,
        db_index=False,
        on_delete=django.db.models.deletion.DO_NOTHING,
        related_name="+",
        to=to,
    )


class Migration(migrations.Migration):
    """With devices there already, the past begins now: earlier times are refused."""

    dependencies = [("registry", "0018_past_devices"), ("state", "0016_last_finding")]
    operations = [
        migrations.CreateModel(
            name="PastStart",
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
            ],
        ),
        migrations.AddField(
            model_name="connectivitytransition",
            name="cause_from",
            field=models.CharField(
                blank=True, choices=Cause.choices, db_default="", max_length=24
            ),
        ),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    partitioned_table_sql(PAST, COLUMNS, key="until") + INDEX,
                    f"DROP TABLE {PAST}",
                ),
                migrations.RunPython(make_partitions, migrations.RunPython.noop),
                migrations.RunSQL(CREATE, DROP),
                migrations.RunSQL(START, migrations.RunSQL.noop),
            ],
            state_operations=[
                migrations.CreateModel(
                    name="PastTwin",
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
                        ("firmware", models.CharField(blank=True, max_length=64)),
                        ("config_version", models.CharField(blank=True, max_length=64)),
                        ("until", models.DateTimeField()),
                        ("tenant", loose("registry.tenant")),
                        ("device", loose("registry.device")),
                    ],
                    options={"db_table": PAST},
                )
            ],
        ),
    ]
