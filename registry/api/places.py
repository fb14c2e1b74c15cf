"""REST: projects and sites."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet

from registry.api.slugged import SluggedViewSet
from registry.models import Project, Site
from registry.selectors.places import get_project, get_site, list_projects, list_sites
from registry.serializers import ProjectSerializer, SiteSerializer
from registry.services import places


class ProjectViewSet(SluggedViewSet):
    """Projects of the caller's tenants."""

    serializer_class = ProjectSerializer

    def rows(self) -> QuerySet[Project]:
        return list_projects(tenants=self.tenants)

    def row(self, slug: str) -> Project:
        return get_project(tenants=self.tenants, slug=slug)

    def add(self, **fields: Any) -> Project:
        return places.create_project(**fields)

    def change(self, row: Project, **fields: Any) -> Project:
        return places.update_project(row, **fields)

    def remove(self, row: Project) -> None:
        places.delete_project(row)


class SiteFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Filters of the list of sites."""

    project = django_filters.CharFilter(field_name="project__slug")
    region = django_filters.CharFilter()
    country = django_filters.CharFilter()


class SiteViewSet(SluggedViewSet):
    """Sites of the caller's tenants."""

    serializer_class = SiteSerializer
    belongs_to_a_place = True
    filterset_class = SiteFilter

    def rows(self) -> QuerySet[Site]:
        return list_sites(tenants=self.tenants)

    def row(self, slug: str) -> Site:
        return get_site(tenants=self.tenants, slug=slug)

    def add(self, **fields: Any) -> Site:
        return places.create_site(**fields)

    def change(self, row: Site, **fields: Any) -> Site:
        return places.update_site(row, **fields)

    def remove(self, row: Site) -> None:
        places.delete_site(row)
