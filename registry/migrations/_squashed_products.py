"""What devices are made as."""

import django.core.validators
from django.db import migrations, models

import registry.validators
from iotplatform.common.migration_operations import public_id, row_id

MODELS = [
    migrations.CreateModel(
        name="Product",
        fields=[
            row_id(),
            public_id(),
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
                    choices=[
                        ("standalone", "standalone"),
                        ("gateway", "gateway"),
                        ("child", "child"),
                    ],
                    default="standalone",
                    max_length=16,
                ),
            ),
            (
                "attributes_schema",
                models.JSONField(
                    blank=True,
                    default=dict,
                    validators=[registry.validators.validate_json_schema],
                ),
            ),
            (
                "metrics",
                models.JSONField(
                    blank=True,
                    default=list,
                    validators=[registry.validators.validate_metrics],
                ),
            ),
            (
                "reported_keys",
                models.JSONField(
                    blank=True,
                    default=list,
                    validators=[registry.validators.validate_reported_keys],
                ),
            ),
            (
                "heartbeat_seconds",
                models.PositiveIntegerField(
                    default=60,
                    validators=[
                        django.core.validators.MinValueValidator(1),
                        django.core.validators.MaxValueValidator(86400),
                    ],
                ),
            ),
            ("takes_commands", models.BooleanField(default=True)),
            ("created_at", models.DateTimeField(auto_now_add=True)),
            (
                "tenant",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="+", to="registry.tenant"
                ),
            ),
        ],
        options={
            "ordering": ["slug"],
            "constraints": [
                models.UniqueConstraint(
                    fields=("tenant", "slug"),
                    name="registry_product_slug_once_per_tenant",
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="HardwareRevision",
        fields=[
            row_id(),
            public_id(),
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
                    on_delete=models.PROTECT, related_name="+", to="registry.product"
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
            "ordering": ["slug"],
            "constraints": [
                models.UniqueConstraint(
                    fields=("tenant", "slug"),
                    name="registry_revision_slug_once_per_tenant",
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="Batch",
        fields=[
            row_id(),
            public_id(),
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
                    on_delete=models.PROTECT, related_name="+", to="registry.tenant"
                ),
            ),
            (
                "hardware_revision",
                models.ForeignKey(
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.hardwarerevision",
                ),
            ),
        ],
        options={
            "verbose_name_plural": "batches",
            "ordering": ["slug"],
            "constraints": [
                models.UniqueConstraint(
                    fields=("tenant", "slug"),
                    name="registry_batch_slug_once_per_tenant",
                )
            ],
        },
    ),
]
