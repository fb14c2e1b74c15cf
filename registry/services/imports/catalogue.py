"""The objects that rows of an import may name, by slug, loaded once per file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from registry.models import Product, Tenant
from registry.selectors.places import list_projects, list_sites, list_spaces
from registry.selectors.products import list_batches, list_revisions


@dataclass(frozen=True, slots=True)
class Place:
    """What the checks need to know of a site."""

    id: int
    project_id: int | None


@dataclass(frozen=True, slots=True)
class Part:
    """An object that is part of another: a space, a hardware revision or a batch."""

    id: int
    whole_id: int  # its site, product or hardware revision


@dataclass(frozen=True)
class Catalogue:
    """Everything that a row may name and the caller may access."""

    tenant: Tenant
    sites: Mapping[str, Place]
    projects: Mapping[str, int]
    products: Mapping[str, Product]
    spaces: Mapping[str, Part]
    revisions: Mapping[str, Part]
    batches: Mapping[str, Part]

    @cached_property
    def _revisions_by_id(self) -> dict[int, Part]:
        return {row.id: row for row in self.revisions.values()}

    def revision_of(self, batch: Part) -> Part:
        """Return the revision of a batch."""
        return self._revisions_by_id[batch.whole_id]


def load_catalogue(tenant: Tenant) -> Catalogue:
    """Load the catalogue of a tenant."""
    tenants = [tenant]
    products = Product.objects.filter(tenant=tenant)
    sites = list_sites(tenants=tenants).values_list("slug", "pk", "project_id")
    spaces = list_spaces(tenants=tenants).values_list("slug", "pk", "site_id")
    revisions = list_revisions(tenants=tenants)
    batches = list_batches(tenants=tenants)
    return Catalogue(
        tenant=tenant,
        sites={slug: Place(pk, project_id) for slug, pk, project_id in sites},
        projects=dict(list_projects(tenants=tenants).values_list("slug", "pk")),
        products={product.slug: product for product in products},
        spaces={slug: Part(pk, whole) for slug, pk, whole in spaces},
        revisions={
            slug: Part(pk, whole)
            for slug, pk, whole in revisions.values_list("slug", "pk", "product_id")
        },
        batches={
            slug: Part(pk, whole)
            for slug, pk, whole in batches.values_list(
                "slug", "pk", "hardware_revision_id"
            )
        },
    )
