"""Keys that most rows leave empty are indexed only where they name something.

An import of 100,000 devices writes six index entries a device less.
"""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    """Replace indexes of whole keys by partial ones."""

    dependencies = [
        ("registry", "0022_device_registered_at"),
    ]

    operations = [
        migrations.AlterField(
            model_name="device",
            name="batch",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="registry.batch",
            ),
        ),
        migrations.AlterField(
            model_name="device",
            name="gateway",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="registry.device",
            ),
        ),
        migrations.AlterField(
            model_name="device",
            name="hardware_revision",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="registry.hardwarerevision",
            ),
        ),
        migrations.AlterField(
            model_name="device",
            name="space",
            field=models.ForeignKey(
                blank=True,
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="registry.space",
            ),
        ),
        migrations.AlterField(
            model_name="lifecyclemove",
            name="actor",
            field=models.ForeignKey(
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AlterField(
            model_name="lifecyclemove",
            name="device",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="registry.device",
            ),
        ),
        migrations.AlterField(
            model_name="lifecyclemove",
            name="replaced_by",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="registry.device",
            ),
        ),
        migrations.AddIndex(
            model_name="device",
            index=models.Index(
                condition=models.Q(("space__isnull", False)),
                fields=["space"],
                name="registry_device_of_space",
            ),
        ),
        migrations.AddIndex(
            model_name="device",
            index=models.Index(
                condition=models.Q(("hardware_revision__isnull", False)),
                fields=["hardware_revision"],
                name="registry_device_of_revision",
            ),
        ),
        migrations.AddIndex(
            model_name="device",
            index=models.Index(
                condition=models.Q(("batch__isnull", False)),
                fields=["batch"],
                name="registry_device_of_batch",
            ),
        ),
        migrations.AddIndex(
            model_name="device",
            index=models.Index(
                condition=models.Q(("gateway__isnull", False)),
                fields=["gateway"],
                name="registry_device_of_gateway",
            ),
        ),
        migrations.AddIndex(
            model_name="lifecyclemove",
            index=models.Index(
                condition=models.Q(("actor__isnull", False)),
                fields=["actor"],
                name="registry_move_by_actor",
            ),
        ),
        migrations.AddIndex(
            model_name="lifecyclemove",
            index=models.Index(
                condition=models.Q(("replaced_by__isnull", False)),
                fields=["replaced_by"],
                name="registry_move_by_successor",
            ),
        ),
    ]
