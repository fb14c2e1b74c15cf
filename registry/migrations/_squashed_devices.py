"""Devices and the moves of their lifecycle."""

import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.core.validators
from django.conf import settings
from django.db import migrations, models

from iotplatform.common.migration_operations import public_id, row_id

MODELS = [
    migrations.CreateModel(
        name="Device",
        fields=[
            row_id(),
            public_id(),
            (
                "uid",
                models.CharField(
                    max_length=64,
                    unique=True,
                    validators=[
                        django.core.validators.RegexValidator(
                            "\\A[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\\Z",
                            "1 to 64 letters, digits, '.', '_' or '-', beginning with a letter or digit.",
                        )
                    ],
                ),
            ),
            ("name", models.CharField(blank=True, max_length=200)),
            ("serial", models.CharField(blank=True, max_length=64)),
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
                "adapter",
                models.CharField(
                    choices=[("mqtt", "MQTT"), ("http", "HTTP")],
                    default="mqtt",
                    max_length=16,
                ),
            ),
            (
                "lifecycle",
                models.CharField(
                    choices=[
                        ("provisioned", "provisioned"),
                        ("active", "active"),
                        ("in_repair", "in repair"),
                        ("retired", "retired"),
                        ("replaced", "replaced"),
                    ],
                    default="provisioned",
                    max_length=16,
                ),
            ),
            (
                "tags",
                django.contrib.postgres.fields.ArrayField(
                    base_field=models.CharField(
                        max_length=64,
                        validators=[
                            django.core.validators.RegexValidator(
                                "\\A[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\\Z",
                                "1 to 64 letters, digits, '.', '_' or '-'.",
                            )
                        ],
                    ),
                    blank=True,
                    default=list,
                    size=None,
                ),
            ),
            ("attributes", models.JSONField(blank=True, default=dict)),
            ("created_at", models.DateTimeField(auto_now_add=True)),
            ("updated_at", models.DateTimeField(auto_now=True)),
            (
                "gateway",
                models.ForeignKey(
                    blank=True,
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.device",
                ),
            ),
            (
                "product",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="+", to="registry.product"
                ),
            ),
            (
                "project",
                models.ForeignKey(
                    blank=True,
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.project",
                ),
            ),
            (
                "site",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="+", to="registry.site"
                ),
            ),
            (
                "tenant",
                models.ForeignKey(
                    db_index=False,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.tenant",
                ),
            ),
            (
                "batch",
                models.ForeignKey(
                    blank=True,
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.batch",
                ),
            ),
            (
                "hardware_revision",
                models.ForeignKey(
                    blank=True,
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.hardwarerevision",
                ),
            ),
            (
                "space",
                models.ForeignKey(
                    blank=True,
                    null=True,
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.space",
                ),
            ),
        ],
        options={
            "indexes": [
                django.contrib.postgres.indexes.GinIndex(
                    fields=["tags"], name="registry_device_tags"
                ),
                models.Index(fields=["tenant", "id"], name="registry_device_of_tenant"),
                models.Index(
                    condition=models.Q(("lifecycle", "active"), _negated=True),
                    fields=["lifecycle", "uid"],
                    name="registry_device_not_active",
                ),
                models.Index(
                    condition=models.Q(("kind", "standalone"), _negated=True),
                    fields=["kind", "uid"],
                    name="registry_device_not_alone",
                ),
                models.Index(
                    fields=["serial"],
                    name="registry_device_serial_like",
                    opclasses=["varchar_pattern_ops"],
                ),
                models.Index(
                    fields=["name"],
                    name="registry_device_name_like",
                    opclasses=["varchar_pattern_ops"],
                ),
            ],
            "constraints": [
                models.UniqueConstraint(
                    condition=models.Q(("serial", ""), _negated=True),
                    fields=("tenant", "serial"),
                    name="registry_serial_once_per_tenant",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        models.Q(("gateway__isnull", False), ("kind", "child")),
                        models.Q(
                            models.Q(("kind", "child"), _negated=True),
                            ("gateway__isnull", True),
                        ),
                        _connector="OR",
                    ),
                    name="registry_child_and_only_child_has_gateway",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        ("batch__isnull", True),
                        ("hardware_revision__isnull", False),
                        _connector="OR",
                    ),
                    name="registry_batch_is_of_a_revision",
                ),
            ],
        },
    ),
    migrations.CreateModel(
        name="LifecycleMove",
        fields=[
            row_id(),
            public_id(),
            ("at", models.DateTimeField()),
            (
                "moved_from",
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
            (
                "moved_to",
                models.CharField(
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
            ("reason", models.TextField(blank=True)),
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
                "device",
                models.ForeignKey(
                    on_delete=models.CASCADE, related_name="+", to="registry.device"
                ),
            ),
            (
                "replaced_by",
                models.ForeignKey(
                    blank=True,
                    null=True,
                    on_delete=models.SET_NULL,
                    related_name="+",
                    to="registry.device",
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
                models.Index(fields=["device", "-at"], name="registry_move_by_device")
            ]
        },
    ),
]
