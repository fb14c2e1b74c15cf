"""Firmware releases, and what they are for."""

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import iotplatform.common.ids
import registry.models.firmware
from iotplatform.common.audit import audit_changes
from registry.migrations._firmware import CREATE, DROP


class Migration(migrations.Migration):
    dependencies = [
        ("registry", "0012_reserved_uids"),
    ]

    operations = [
        migrations.CreateModel(
            name="FirmwareHardware",
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
                    "hardware_revision",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="registry.hardwarerevision",
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
        ),
        migrations.CreateModel(
            name="FirmwareProduct",
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
                ("version", models.CharField(max_length=64)),
                (
                    "product",
                    models.ForeignKey(
                        db_constraint=False,
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
        ),
        migrations.CreateModel(
            name="FirmwareRelease",
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
                    "version",
                    models.CharField(
                        max_length=64,
                        validators=[
                            django.core.validators.RegexValidator(
                                "\\A[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}\\Z",
                                "1 to 64 letters, digits, '.', '_', '+' or '-'.",
                            )
                        ],
                    ),
                ),
                (
                    "file",
                    models.FileField(
                        max_length=200, upload_to=registry.models.firmware.stored_name
                    ),
                ),
                ("size", models.BigIntegerField(editable=False)),
                ("sha256", models.CharField(editable=False, max_length=64)),
                ("signature", models.TextField(blank=True, max_length=4096)),
                ("notes", models.TextField(blank=True, max_length=10000)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                (
                    "created_by",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "hardware_revisions",
                    models.ManyToManyField(
                        related_name="+",
                        through="registry.FirmwareHardware",
                        to="registry.hardwarerevision",
                    ),
                ),
                (
                    "products",
                    models.ManyToManyField(
                        related_name="+",
                        through="registry.FirmwareProduct",
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
        ),
        migrations.AddField(
            model_name="firmwareproduct",
            name="release",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="registry.firmwarerelease",
            ),
        ),
        migrations.AddField(
            model_name="firmwarehardware",
            name="release",
            field=models.ForeignKey(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="registry.firmwarerelease",
            ),
        ),
        migrations.AddIndex(
            model_name="firmwarerelease",
            index=models.Index(fields=["tenant", "-id"], name="registry_firmware_list"),
        ),
        migrations.AddConstraint(
            model_name="firmwareproduct",
            constraint=models.UniqueConstraint(
                fields=("product", "version"),
                name="registry_firmware_version_once_per_product",
            ),
        ),
        migrations.AddConstraint(
            model_name="firmwarehardware",
            constraint=models.UniqueConstraint(
                fields=("release", "hardware_revision"),
                name="registry_firmware_revision_once",
            ),
        ),
        migrations.RunSQL(CREATE, DROP),
        audit_changes("registry_firmwarerelease", kind="firmware_release"),
        audit_changes("registry_firmwareproduct", kind="firmware_product"),
        audit_changes("registry_firmwarehardware", kind="firmware_hardware"),
    ]
