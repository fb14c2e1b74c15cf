"""Writes of projects and sites."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from iotplatform.common.problems import BadInput
from registry.models import Device, Project, Site, Space, Tenant
from registry.services.constraint_errors import (
    delete_unused,
    save_checked,
)


def create_project(*, tenant: Tenant, slug: str, name: str = "") -> Project:
    """Make a project. Raises BadInput for a taken or malformed slug."""
    return save_project(Project(tenant=tenant, slug=slug, name=name or slug))


def save_project(project: Project) -> Project:
    """Save a changed project. Raises BadInput naming the wrong field."""
    save_checked(project)
    return project


@transaction.atomic
def update_project(project: Project, **changes: Any) -> Project:
    row = Project.objects.select_for_update(no_key=True).get(pk=project.pk)
    for field, value in changes.items():
        setattr(row, field, value)
    return save_project(row)


def delete_project(project: Project) -> None:
    """Delete a project; raises InUse while a site or device belongs to it."""
    delete_unused(
        project,
        Site.objects.filter(project=project),
        Device.objects.filter(project=project),
    )


def create_site(*, tenant: Tenant, slug: str, name: str = "", **fields: Any) -> Site:
    """Make a site. Raises BadInput naming each wrong field."""
    return save_site(Site(tenant=tenant, slug=slug, name=name or slug, **fields))


def save_site(site: Site) -> Site:
    """Save a changed site. Raises BadInput naming the wrong field."""
    if site.project is not None and site.project.tenant_id != site.tenant_id:
        raise BadInput(project="There is no such project.")
    limit = site.tenant.limit
    place = {"project_id": site.project_id, "site_id": site.pk}
    if limit is not None and not limit.holds(**place):
        raise BadInput(
            project="You may not access sites there: name a project of yours."
        )
    save_checked(site)
    return site


@transaction.atomic
def update_site(site: Site, **changes: Any) -> Site:
    """Change a site. Raises BadInput naming each wrong field."""
    row = Site.objects.select_for_update(no_key=True).get(pk=site.pk)
    row.tenant = site.tenant  # with the caller's limit
    for field, value in changes.items():
        setattr(row, field, value)
    return save_site(row)


def delete_site(site: Site) -> None:
    """Delete a site; raises InUse while it has a device or a space."""
    delete_unused(
        site, Device.objects.filter(site=site), Space.objects.filter(site=site)
    )
