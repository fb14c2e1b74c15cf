"""Files that devices upload."""

import django.db.models.deletion
from django.db import migrations, models

import iotplatform.common.ids


class Migration(migrations.Migration):
    dependencies = [
        ("commands", "0013_absent_gateways"),
        ("registry", "0018_past_devices"),
    ]

    operations = [
        migrations.CreateModel(
            name="DeviceFile",
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
                ("name", models.CharField(max_length=128)),
                ("size", models.BigIntegerField(default=0)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("completed_at", models.DateTimeField(null=True)),
                (
                    "command",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="commands.command",
                    ),
                ),
                (
                    "device",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
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
        ),
        migrations.CreateModel(
            name="DeviceFilePart",
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
                ("start", models.BigIntegerField()),
                ("content", models.BinaryField()),
                (
                    "file",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="commands.devicefile",
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
        migrations.AddIndex(
            model_name="devicefile",
            index=models.Index(
                fields=["device", "-id"], name="commands_files_of_device"
            ),
        ),
        migrations.AddIndex(
            model_name="devicefile",
            index=models.Index(fields=["created_at"], name="commands_files_by_age"),
        ),
        migrations.AddConstraint(
            model_name="devicefilepart",
            constraint=models.UniqueConstraint(
                fields=("file", "start"), name="commands_file_part_once"
            ),
        ),
    ]
