"""Spaces inside sites, hardware revisions of products, and their batches."""

import django.contrib.postgres.indexes
import django.core.validators
import django.db.models.deletion
from django.contrib.postgres.operations import CreateExtension
from django.db import migrations, models

import iotplatform.common.ids
import registry.paths
from iotplatform.common.audit import audit_changes
from registry.migrations._spaces import CREATE, DROP


class Migration(migrations.Migration):
    """Make the tables, the database's own keeping of paths, and the audit triggers."""

    dependencies = [
        ("registry", "0007_device_lists"),
    ]

    operations = [
        CreateExtension("ltree"),
        migrations.CreateModel(
            name="Batch",
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
                (
                    "slug",
                    models.CharField(
                        max_length=64,
                        validators=[
                            django.core.validators.RegexValidator(
                                "\\A[a-z0-9][a-z0-9_-]{0,63}\\Z",
                                "1 to 64 lower-case letters, digits, '-' or '_'.",
                            )
                        ],
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                ("made_at", models.DateTimeField(blank=True, null=True)),
                ("notes", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
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
                "verbose_name_plural": "batches",
                "ordering": ["slug"],
            },
        ),
        migrations.AddField(
            model_name="device",
            name="batch",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="registry.batch",
            ),
        ),
        migrations.CreateModel(
            name="HardwareRevision",
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
                (
                    "slug",
                    models.CharField(
                        max_length=64,
                        validators=[
                            django.core.validators.RegexValidator(
                                "\\A[a-z0-9][a-z0-9_-]{0,63}\\Z",
                                "1 to 64 lower-case letters, digits, '-' or '_'.",
                            )
                        ],
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                ("notes", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "product",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.product",
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
                "ordering": ["slug"],
            },
        ),
        migrations.AddField(
            model_name="batch",
            name="hardware_revision",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="registry.hardwarerevision",
            ),
        ),
        migrations.AddField(
            model_name="device",
            name="hardware_revision",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="registry.hardwarerevision",
            ),
        ),
        migrations.CreateModel(
            name="Space",
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
                (
                    "slug",
                    models.CharField(
                        max_length=64,
                        validators=[
                            django.core.validators.RegexValidator(
                                "\\A[a-z0-9][a-z0-9_-]{0,63}\\Z",
                                "1 to 64 lower-case letters, digits, '-' or '_'.",
                            )
                        ],
                    ),
                ),
                ("name", models.CharField(max_length=200)),
                (
                    "kind",
                    models.CharField(
                        blank=True,
                        help_text="As in building, floor, room, line.",
                        max_length=32,
                    ),
                ),
                ("path", registry.paths.PathField()),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "parent",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.space",
                    ),
                ),
                (
                    "site",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.site",
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
                "ordering": ["slug"],
            },
        ),
        migrations.AddField(
            model_name="device",
            name="space",
            field=models.ForeignKey(
                blank=True,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="registry.space",
            ),
        ),
        migrations.AddConstraint(
            model_name="device",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ("batch__isnull", True),
                    ("hardware_revision__isnull", False),
                    _connector="OR",
                ),
                name="registry_batch_is_of_a_revision",
            ),
        ),
        migrations.AddConstraint(
            model_name="hardwarerevision",
            constraint=models.UniqueConstraint(
                fields=("tenant", "slug"), name="registry_revision_slug_once_per_tenant"
            ),
        ),
        migrations.AddConstraint(
            model_name="batch",
            constraint=models.UniqueConstraint(
                fields=("tenant", "slug"), name="registry_batch_slug_once_per_tenant"
            ),
        ),
        migrations.AddIndex(
            model_name="space",
            index=django.contrib.postgres.indexes.GistIndex(
                fields=["path"], name="registry_space_path"
            ),
        ),
        migrations.AddConstraint(
            model_name="space",
            constraint=models.UniqueConstraint(
                fields=("tenant", "slug"), name="registry_space_slug_once_per_tenant"
            ),
        ),
        migrations.RunSQL(CREATE, DROP),
        audit_changes("registry_space", kind="space", ignored=["path"]),
        audit_changes("registry_hardwarerevision", kind="hardware_revision"),
        audit_changes("registry_batch", kind="batch"),
    ]
