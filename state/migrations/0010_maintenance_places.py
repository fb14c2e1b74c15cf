"""Windows at many devices or sites: each place of one is a row of its own."""

import django.db.models.deletion
from django.db import migrations, models
from django.db.models import F, Q

from iotplatform.common.audit import audit_changes

PLACES = """
    INSERT INTO state_maintenanceplace
        (tenant_id, window_id, device_id, site_id, from_at, until)
    SELECT tenant_id, id, device_id, site_id, from_at, until
    FROM state_maintenancewindow ORDER BY id
"""


class Migration(migrations.Migration):
    dependencies = [("state", "0009_rollup_key")]

    operations = [
        migrations.CreateModel(
            name="MaintenancePlace",
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
                    "device",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="registry.device",
                    ),
                ),
                (
                    "site",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="registry.site",
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
                (
                    "window",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="state.maintenancewindow",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(fields=["device", "until"], name="state_place_device"),
                    models.Index(fields=["site", "until"], name="state_place_site"),
                    models.Index(fields=["window", "until"], name="state_place_window"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=Q(
                            Q(("device__isnull", False), ("site__isnull", True)),
                            Q(("device__isnull", True), ("site__isnull", False)),
                            _connector="OR",
                        ),
                        name="state_place_is_a_device_or_a_site",
                    ),
                    models.CheckConstraint(
                        condition=Q(("until__gt", F("from_at"))),
                        name="state_place_lasts",
                    ),
                    models.UniqueConstraint(
                        condition=Q(("device__isnull", False)),
                        fields=("window", "device"),
                        name="state_place_once_per_device",
                    ),
                    models.UniqueConstraint(
                        condition=Q(("site__isnull", False)),
                        fields=("window", "site"),
                        name="state_place_once_per_site",
                    ),
                ],
            },
        ),
        migrations.RunSQL(PLACES, migrations.RunSQL.noop),
        # What the insert left to check at the commit; else the table cannot change.
        migrations.RunSQL("SET CONSTRAINTS ALL IMMEDIATE", migrations.RunSQL.noop),
        migrations.RunSQL("SET CONSTRAINTS ALL DEFERRED", migrations.RunSQL.noop),
        migrations.RemoveConstraint(
            model_name="maintenancewindow", name="state_window_of_a_device_or_a_site"
        ),
        migrations.RemoveIndex(
            model_name="maintenancewindow", name="state_window_device"
        ),
        migrations.RemoveIndex(
            model_name="maintenancewindow", name="state_window_site"
        ),
        migrations.RemoveField(model_name="maintenancewindow", name="device"),
        migrations.RemoveField(model_name="maintenancewindow", name="site"),
        migrations.AddField(
            model_name="maintenancewindow",
            name="origin",
            field=models.CharField(blank=True, default="", max_length=64),
        ),
        migrations.AddConstraint(
            model_name="maintenancewindow",
            constraint=models.UniqueConstraint(
                condition=~Q(("origin", "")),
                fields=("tenant", "origin"),
                name="state_one_window_per_origin",
            ),
        ),
        migrations.AddIndex(
            model_name="maintenancewindow",
            index=models.Index(fields=["until"], name="state_window_until"),
        ),
        audit_changes("state_maintenanceplace", kind="maintenance_place"),
    ]
