"""Tenants and their places."""

import django.contrib.postgres.indexes
import django.core.validators
from django.db import migrations, models

import registry.paths
import registry.validators
from iotplatform.common.migration_operations import public_id, row_id

MODELS = [
    migrations.CreateModel(
        name="Tenant",
        fields=[
            row_id(),
            public_id(),
            (
                "slug",
                models.CharField(
                    max_length=64,
                    unique=True,
                    validators=[
                        django.core.validators.RegexValidator(
                            "\\A[a-z0-9][a-z0-9_-]{0,63}\\Z",
                            "1 to 64 lower-case letters, digits, '-' or '_'.",
                        )
                    ],
                ),
            ),
            ("name", models.CharField(max_length=200)),
            ("created_at", models.DateTimeField(auto_now_add=True)),
        ],
        options={"ordering": ["slug"]},
    ),
    migrations.CreateModel(
        name="Project",
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
                    name="registry_project_slug_once_per_tenant",
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="Site",
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
            ("region", models.CharField(blank=True, max_length=100)),
            (
                "country",
                models.CharField(
                    blank=True, help_text="ISO 3166-1 alpha-2", max_length=2
                ),
            ),
            (
                "time_zone",
                models.CharField(
                    default="UTC",
                    max_length=64,
                    validators=[registry.validators.validate_time_zone],
                ),
            ),
            (
                "latitude",
                models.FloatField(
                    blank=True,
                    null=True,
                    validators=[
                        django.core.validators.MinValueValidator(-90),
                        django.core.validators.MaxValueValidator(90),
                    ],
                ),
            ),
            (
                "longitude",
                models.FloatField(
                    blank=True,
                    null=True,
                    validators=[
                        django.core.validators.MinValueValidator(-180),
                        django.core.validators.MaxValueValidator(180),
                    ],
                ),
            ),
            ("created_at", models.DateTimeField(auto_now_add=True)),
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
                    fields=("tenant", "slug"), name="registry_site_slug_once_per_tenant"
                )
            ],
        },
    ),
    migrations.CreateModel(
        name="Space",
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
                    on_delete=models.PROTECT,
                    related_name="+",
                    to="registry.space",
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
            "ordering": ["slug"],
            "indexes": [
                django.contrib.postgres.indexes.GistIndex(
                    fields=["path"], name="registry_space_path"
                )
            ],
            "constraints": [
                models.UniqueConstraint(
                    fields=("tenant", "slug"),
                    name="registry_space_slug_once_per_tenant",
                )
            ],
        },
    ),
]
