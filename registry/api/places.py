"""REST: projects, sites and spaces."""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet

from registry.api.serializers.devices import (
    ProjectSerializer,
    SiteSerializer,
    SpaceSerializer,
)
from registry.api.slug_viewset import SluggedViewSet
from registry.models import Project, Site, Space
from registry.selectors.places import (
    find_spaces,
    get_project,
    get_site,
    get_space,
    list_projects,
    list_sites,
    list_spaces,
)
from registry.services import places, spaces


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


class SpaceFilter(django_filters.FilterSet):  # type: ignore[misc]
    """Filters of the list of spaces."""

    site = django_filters.CharFilter(field_name="site__slug")
    parent = django_filters.CharFilter(field_name="parent__slug")
    kind = django_filters.CharFilter()
    under = django_filters.CharFilter(
        method="filter_under",
        label="under",
        help_text="This space and the spaces below it: its slug or its path.",
    )

    def filter_under(
        self, rows: QuerySet[Space], name: str, value: str
    ) -> QuerySet[Space]:
        return rows.filter(pk__in=find_spaces(value))


class SpaceViewSet(SluggedViewSet):
    """Places inside sites of the caller's tenants: a tree of any depth."""

    serializer_class = SpaceSerializer
    belongs_to_a_place = True
    filterset_class = SpaceFilter

    def rows(self) -> QuerySet[Space]:
        return list_spaces(tenants=self.tenants)

    def row(self, slug: str) -> Space:
        return get_space(tenants=self.tenants, slug=slug)

    def add(self, **fields: Any) -> Space:
        made = spaces.create_space(**fields)
        return get_space(tenants=[made.tenant], slug=made.slug)

    def change(self, row: Space, **fields: Any) -> Space:
        changed = spaces.update_space(row, **fields)
        return get_space(tenants=[changed.tenant], slug=changed.slug)

    def remove(self, row: Space) -> None:
        spaces.delete_space(row)

    def lock(self, row: Space) -> None:
        spaces.lock_space(row)
