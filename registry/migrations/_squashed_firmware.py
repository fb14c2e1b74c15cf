"""Firmware releases, imports of devices, and what devices were."""

import django.core.validators
from django.conf import settings
from django.db import migrations, models

import registry.models.firmware
from iotplatform.common.migration_operations import partitioned_table, public_id, row_id
from registry.migrations._past_devices import COLUMNS, INDEX

MODELS = [
    migrations.CreateModel(
        name="FirmwareRelease",
        fields=[
            row_id(),
            public_id(),
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
                    on_delete=models.SET_NULL,
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
                    on_delete=models.PROTECT, related_name="+", to="registry.tenant"
                ),
            ),
        ],
        options={
            "indexes": [
                models.Index(fields=["tenant", "-id"], name="registry_firmware_list")
            ]
        },
    ),
    migrations.CreateModel(
        name="FirmwareProduct",
        fields=[
            row_id(),
            public_id(),
            ("version", models.CharField(max_length=64)),
            (
                "product",
                models.ForeignKey(
                    db_constraint=False,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.product",
                ),
            ),
            (
                "tenant",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="+", to="registry.tenant"
                ),
            ),
            (
                "release",
                models.ForeignKey(
                    db_constraint=False,
                    on_delete=models.CASCADE,
                    related_name="+",
                    to="registry.firmwarerelease",
                ),
            ),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    fields=("product", "version"),
                    name="registry_firmware_version_once_per_product",
                )
            ]
        },
    ),
    migrations.CreateModel(
        name="FirmwareHardware",
        fields=[
            row_id(),
            public_id(),
            (
                "hardware_revision",
                models.ForeignKey(
                    db_constraint=False,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.hardwarerevision",
                ),
            ),
            (
                "tenant",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="+", to="registry.tenant"
                ),
            ),
            (
                "release",
                models.ForeignKey(
                    db_constraint=False,
                    on_delete=models.CASCADE,
                    related_name="+",
                    to="registry.firmwarerelease",
                ),
            ),
        ],
        options={
            "constraints": [
                models.UniqueConstraint(
                    fields=("release", "hardware_revision"),
                    name="registry_firmware_revision_once",
                )
            ]
        },
    ),
    migrations.CreateModel(
        name="DeviceImport",
        fields=[
            row_id(),
            public_id(),
            ("file", models.FileField(upload_to="imports/")),
            (
                "file_format",
                models.CharField(
                    choices=[("csv", "CSV"), ("ndjson", "NDJSON")],
                    default="csv",
                    max_length=8,
                ),
            ),
            ("is_dry_run", models.BooleanField(default=False, verbose_name="dry run")),
            (
                "status",
                models.CharField(
                    choices=[
                        ("queued", "queued"),
                        ("running", "running"),
                        ("done", "done"),
                        ("refused", "refused"),
                        ("failed", "failed"),
                    ],
                    default="queued",
                    max_length=8,
                ),
            ),
            ("starts", models.PositiveSmallIntegerField(default=0)),
            ("created_at", models.DateTimeField(auto_now_add=True)),
            ("started_at", models.DateTimeField(blank=True, null=True)),
            ("ended_at", models.DateTimeField(blank=True, null=True)),
            ("devices", models.PositiveIntegerField(default=0)),
            ("detail", models.TextField(blank=True)),
            ("errors", models.JSONField(blank=True, default=list)),
            (
                "actor",
                models.ForeignKey(
                    null=True,
                    on_delete=models.SET_NULL,
                    related_name="+",
                    to=settings.AUTH_USER_MODEL,
                ),
            ),
            (
                "tenant",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="+", to="registry.tenant"
                ),
            ),
        ],
        options={
            "indexes": [
                models.Index(
                    condition=models.Q(("status__in", ["queued", "running"])),
                    fields=["id"],
                    name="registry_import_open",
                )
            ]
        },
    ),
    partitioned_table(
        migrations.CreateModel(
            name="PastDevice",
            fields=[
                row_id(),
                ("site_slug", models.CharField(blank=True, max_length=64)),
                (
                    "lifecycle",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("provisioned", "provisioned"),
                            ("active", "active"),
                            ("in_repair", "in repair"),
                            ("retired", "retired"),
                            ("replaced", "replaced"),
                        ],
                        max_length=16,
                    ),
                ),
                ("until", models.DateTimeField()),
                (
                    "tenant",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=models.DO_NOTHING,
                        related_name="+",
                        to="registry.tenant",
                    ),
                ),
                (
                    "device",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=models.DO_NOTHING,
                        related_name="+",
                        to="registry.device",
                    ),
                ),
                (
                    "project",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=models.DO_NOTHING,
                        related_name="+",
                        to="registry.project",
                    ),
                ),
                (
                    "site",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=models.DO_NOTHING,
                        related_name="+",
                        to="registry.site",
                    ),
                ),
            ],
            options={"db_table": "registry_pastdevice"},
        ),
        columns=COLUMNS,
        key="until",
        indexes=INDEX,
    ),
]
