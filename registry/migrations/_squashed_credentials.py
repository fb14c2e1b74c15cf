"""Credentials of devices, and keys with which they enrol."""

import django.core.validators
from django.conf import settings
from django.db import migrations, models

from iotplatform.common.migration_operations import public_id, row_id

MODELS = [
    migrations.CreateModel(
        name="Credential",
        fields=[
            row_id(),
            public_id(),
            (
                "kind",
                models.CharField(
                    choices=[("password", "password"), ("x509", "X.509")],
                    default="password",
                    max_length=16,
                ),
            ),
            ("verifier", models.CharField(blank=True, max_length=200)),
            ("created_at", models.DateTimeField(auto_now_add=True)),
            ("revoked_at", models.DateTimeField(blank=True, null=True)),
            ("published_at", models.DateTimeField(blank=True, null=True)),
            ("withdrawn_at", models.DateTimeField(blank=True, null=True)),
            (
                "device",
                models.ForeignKey(
                    on_delete=models.CASCADE, related_name="+", to="registry.device"
                ),
            ),
            (
                "tenant",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="+", to="registry.tenant"
                ),
            ),
            ("fingerprint", models.CharField(blank=True, max_length=64)),
        ],
        options={
            "indexes": [
                models.Index(
                    condition=models.Q(("revoked_at__isnull", True)),
                    fields=["device", "-id"],
                    name="registry_credential_valid",
                )
            ],
            "constraints": [
                models.UniqueConstraint(
                    condition=models.Q(
                        models.Q(("fingerprint", ""), _negated=True),
                        ("revoked_at__isnull", True),
                    ),
                    fields=("fingerprint",),
                    name="registry_fingerprint_once",
                ),
                models.CheckConstraint(
                    condition=models.Q(
                        models.Q(
                            ("fingerprint", ""),
                            ("kind", "password"),
                            models.Q(("verifier", ""), _negated=True),
                        ),
                        models.Q(
                            ("kind", "x509"),
                            ("verifier", ""),
                            models.Q(("fingerprint", ""), _negated=True),
                        ),
                        _connector="OR",
                    ),
                    name="registry_credential_is_of_its_kind",
                ),
            ],
        },
    ),
    migrations.CreateModel(
        name="EnrolmentKey",
        fields=[
            row_id(),
            public_id(),
            ("name", models.CharField(max_length=100)),
            ("digest", models.CharField(editable=False, max_length=64, unique=True)),
            ("prefix", models.CharField(editable=False, max_length=12)),
            (
                "max_devices",
                models.PositiveIntegerField(
                    validators=[
                        django.core.validators.MinValueValidator(1),
                        django.core.validators.MaxValueValidator(1000000),
                    ]
                ),
            ),
            ("used_count", models.PositiveIntegerField(default=0, editable=False)),
            ("expires_at", models.DateTimeField()),
            ("created_at", models.DateTimeField(auto_now_add=True)),
            ("revoked_at", models.DateTimeField(blank=True, editable=False, null=True)),
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
                "product",
                models.ForeignKey(
                    on_delete=models.PROTECT, related_name="+", to="registry.product"
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
                    on_delete=models.PROTECT, related_name="+", to="registry.tenant"
                ),
            ),
        ],
        options={
            "indexes": [
                models.Index(fields=["tenant", "-id"], name="registry_enrolkey_list")
            ],
            "constraints": [
                models.CheckConstraint(
                    condition=models.Q(("used_count__lte", models.F("max_devices"))),
                    name="registry_enrolkey_never_over_issued",
                )
            ],
        },
    ),
]
