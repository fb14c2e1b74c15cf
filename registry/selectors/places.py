"""Reads of projects, sites and spaces."""

from __future__ import annotations

from collections.abc import Sequence

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import QuerySet

from registry.models import Project, Site, Space, Tenant
from registry.paths import slug_path
from registry.selectors.access import (
    at_site_within,
    projects_within,
    sites_within,
)
from registry.selectors.slugs import get_by_slug


def list_projects(*, tenants: Sequence[Tenant]) -> QuerySet[Project]:
    """Return the projects of these tenants."""
    return Project.objects.filter(projects_within(tenants)).select_related("tenant")


def get_project(*, tenants: Sequence[Tenant], slug: str) -> Project:
    """Return a project; raises NoSuchObject or AmbiguousSlug."""
    rows = list_projects(tenants=tenants)
    return get_by_slug(rows, tenants=tenants, slug=slug, what="project")


def list_sites(*, tenants: Sequence[Tenant]) -> QuerySet[Site]:
    """Return the sites of these tenants."""
    rows = Site.objects.filter(sites_within(tenants))
    return rows.select_related("tenant", "project")


def get_site(*, tenants: Sequence[Tenant], slug: str) -> Site:
    """Return a site; raises NoSuchObject or AmbiguousSlug."""
    rows = list_sites(tenants=tenants)
    return get_by_slug(rows, tenants=tenants, slug=slug, what="site")


def list_spaces(*, tenants: Sequence[Tenant]) -> QuerySet[Space]:
    """Return the spaces of these tenants, each with its path of slugs."""
    rows = Space.objects.filter(at_site_within(tenants))
    rows = rows.select_related("tenant", "site", "parent")
    return rows.annotate(slug_path=slug_path("path"))


def get_space(*, tenants: Sequence[Tenant], slug: str) -> Space:
    """Return a space; raises NoSuchObject or AmbiguousSlug."""
    rows = list_spaces(tenants=tenants)
    return get_by_slug(rows, tenants=tenants, slug=slug, what="space")


def path_of(space: Space) -> str:
    """Return the path of a space as slugs, such as hq/floor-2."""
    words = slug_path("path")
    return str(Space.objects.values_list(words, flat=True).get(pk=space.pk))


def find_spaces(name: str) -> QuerySet[Space]:
    """Return the spaces of this name in any tenant, with the spaces below them.

    For rows that are already limited to the caller's tenants. ``name`` is a slug, or a
    path of slugs that ends with it.
    """
    slug = name.rpartition("/")[2].replace("\0", "")
    above = Space.objects.filter(slug=slug).values("path")
    return Space.objects.filter(path__within=ArraySubquery(above))
