"""Owners and places: tenant, project, site, space."""

from django.contrib.postgres.indexes import GistIndex
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from iotplatform.common.models import PublicIdModel
from registry.member_limit import Limit
from registry.paths import PathField
from registry.validators import validate_slug, validate_time_zone


class Tenant(PublicIdModel):
    """An owner of devices; tenants see nothing of each other."""

    # Not a column: the limit of the caller for whom it was read (None: no limit).
    limit: Limit | None = None

    slug = models.CharField(max_length=64, unique=True, validators=[validate_slug])
    name = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["slug"]

    def __str__(self) -> str:
        return self.slug


class Project(PublicIdModel):
    """A tenant's project that sites and devices may belong to."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    slug = models.CharField(max_length=64, validators=[validate_slug])
    name = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "slug"], name="registry_project_slug_once_per_tenant"
            )
        ]

    def __str__(self) -> str:
        return self.slug


class Site(PublicIdModel):
    """A place where devices stand."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    project = models.ForeignKey(
        Project,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_constraint=False,
    )
    slug = models.CharField(max_length=64, validators=[validate_slug])
    name = models.CharField(max_length=200)
    region = models.CharField(max_length=100, blank=True)
    country = models.CharField(max_length=2, blank=True, help_text="ISO 3166-1 alpha-2")
    time_zone = models.CharField(
        max_length=64, default="UTC", validators=[validate_time_zone]
    )
    latitude = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(-90), MaxValueValidator(90)],
    )
    longitude = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(-180), MaxValueValidator(180)],
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "slug"], name="registry_site_slug_once_per_tenant"
            )
        ]

    def __str__(self) -> str:
        return self.slug


class Space(PublicIdModel):
    """A place inside a site, such as a building, a floor, a room or a line."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")
    site = models.ForeignKey(
        Site, on_delete=models.PROTECT, related_name="+", db_constraint=False
    )
    parent = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_constraint=False,
    )
    slug = models.CharField(max_length=64, validators=[validate_slug])
    name = models.CharField(max_length=200)
    kind = models.CharField(
        max_length=32, blank=True, help_text="As in building, floor, room, line."
    )
    # The keys from the top down to this one; only the database writes it. Keys, so that
    # renaming a space changes no path and PostgreSQL 15 accepts every label.
    path = PathField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["slug"]
        indexes = [GistIndex(fields=["path"], name="registry_space_path")]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "slug"], name="registry_space_slug_once_per_tenant"
            )
        ]

    def __str__(self) -> str:
        return self.slug
