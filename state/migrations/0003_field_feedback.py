"""What the field sees, and the history of twins, by day."""

import datetime

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import iotplatform.common.ids
from iotplatform.common.partitions import ensure_partitions, partitioned_table_sql

CHANGES = "state_twinchange"
CHANGE_COLUMNS = """
    tenant_id bigint NOT NULL,
    device_id bigint NOT NULL,
    at timestamptz NOT NULL,
    side varchar(8) NOT NULL,
    version bigint NOT NULL,
    changes jsonb NOT NULL
"""
CHANGE_INDEXES = f"""
    CREATE INDEX state_twinchange_by_device ON {CHANGES} (device_id, at);
"""


def make_partitions(apps: object, schema_editor: object) -> None:
    """Make the partitions of the days around now; a task makes the next ones."""
    ensure_partitions(CHANGES, today=datetime.datetime.now(datetime.UTC).date())


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0003_certificates"),
        ("state", "0002_risk"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    partitioned_table_sql(CHANGES, CHANGE_COLUMNS, key="at")
                    + CHANGE_INDEXES,
                    f"DROP TABLE {CHANGES}",
                ),
                migrations.RunPython(make_partitions, migrations.RunPython.noop),
            ],
            state_operations=[
                migrations.CreateModel(
                    name="TwinChange",
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
                        (
                            "side",
                            models.CharField(
                                choices=[
                                    ("desired", "desired"),
                                    ("reported", "reported"),
                                ],
                                max_length=8,
                            ),
                        ),
                        ("version", models.BigIntegerField()),
                        ("changes", models.JSONField()),
                        (
                            "device",
                            models.ForeignKey(
                                db_constraint=False,
                                db_index=False,
                                on_delete=django.db.models.deletion.DO_NOTHING,
                                related_name="+",
                                to="registry.device",
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
                        "db_table": "state_twinchange",
                    },
                ),
            ],
        ),
        migrations.CreateModel(
            name="FieldFeedback",
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
                (
                    "public_id",
                    models.UUIDField(
                        default=iotplatform.common.ids.new_public_id,
                        editable=False,
                        unique=True,
                    ),
                ),
                ("at", models.DateTimeField()),
                (
                    "observation",
                    models.CharField(
                        choices=[
                            ("works_fine", "works fine"),
                            ("dead", "dead"),
                            ("unplugged", "unplugged"),
                            ("damaged", "damaged"),
                            ("no_signal", "no network signal"),
                            ("not_found", "not found"),
                            ("other", "something else"),
                        ],
                        max_length=16,
                    ),
                ),
                ("note", models.TextField(blank=True)),
                (
                    "by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "device",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="registry.device",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.tenant",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["device", "-at"], name="state_feedback_newest")
                ],
            },
        ),
    ]
