"""Reads of projects and sites."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import QuerySet

from registry.models import Project, Site, Tenant
from registry.selectors.reach import projects_within, sites_within
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
