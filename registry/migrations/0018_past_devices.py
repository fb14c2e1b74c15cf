"""Keep what devices were before: owner, project, site and lifecycle."""

import datetime
from typing import Any

import django.db.models.deletion
from django.db import migrations, models

from iotplatform.common.partitions import ensure_partitions, partitioned_table_sql
from registry.choices import Lifecycle
from registry.migrations._past_devices import COLUMNS, CREATE, DROP, INDEX, PAST


def make_partitions(apps: object, schema_editor: object) -> None:
    """Make the partitions of the days around now; a task makes the next ones."""
    ensure_partitions(PAST, today=datetime.datetime.now(datetime.UTC).date())


def loose(to: str, *, null: bool = False) -> models.ForeignKey[Any]:
    """Return a key without constraint: a partition is dropped whole."""
    return models.ForeignKey(
        db_constraint=False,
        db_index=False,
        null=null,
        on_delete=django.db.models.deletion.DO_NOTHING,
        related_name="+",
        to=to,
    )


class Migration(migrations.Migration):
    """The table begins empty: what was before its triggers was not kept in full."""

    dependencies = [("registry", "0017_audit_reads_rows_once")]
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    partitioned_table_sql(PAST, COLUMNS, key="until") + INDEX,
                    f"DROP TABLE {PAST}",
                ),
                migrations.RunPython(make_partitions, migrations.RunPython.noop),
                migrations.RunSQL(CREATE, DROP),
            ],
            state_operations=[
                migrations.CreateModel(
                    name="PastDevice",
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
                        ("site_slug", models.CharField(blank=True, max_length=64)),
                        (
                            "lifecycle",
                            models.CharField(
                                blank=True, choices=Lifecycle.choices, max_length=16
                            ),
                        ),
                        ("until", models.DateTimeField()),
                        ("tenant", loose("registry.tenant")),
                        ("device", loose("registry.device")),
                        ("project", loose("registry.project", null=True)),
                        ("site", loose("registry.site", null=True)),
                    ],
                    options={"db_table": PAST},
                )
            ],
        ),
    ]
