"""Spaces, hardware revisions and batches of the usual site and product, and others'."""

from __future__ import annotations

from typing import Any

from registry.models import Batch, HardwareRevision, Product, Site, Space, Tenant
from tests.factories import (
    BatchFactory,
    HardwareRevisionFactory,
    ProductFactory,
    SiteFactory,
    SpaceFactory,
)


def parts_of(tenant: Tenant) -> None:
    """Make a space here, one elsewhere, and revisions of this and another product."""
    own = {"tenant": tenant}
    site = Site.objects.get(tenant=tenant, slug="shanghai-01")
    product = Product.objects.get(tenant=tenant, slug="sensor-s1")
    SpaceFactory(**own, site=site, slug="here")
    SpaceFactory(**own, site=SiteFactory(**own), slug="far")
    for slug, of in (("a", product), ("b", product), ("other", ProductFactory(**own))):
        names = ("other-rev", "other-batch") if slug == "other" else ("", "")
        revision = HardwareRevisionFactory(
            **own, product=of, slug=names[0] or f"rev-{slug}"
        )
        BatchFactory(
            **own, hardware_revision=revision, slug=names[1] or f"batch-{slug}"
        )


def named(draft: dict[str, Any]) -> dict[str, Any]:
    """Return the draft with objects instead of names."""
    models: dict[str, type[Space | HardwareRevision | Batch]] = {
        "space": Space,
        "hardware_revision": HardwareRevision,
        "batch": Batch,
    }
    found = {
        name: model.objects.get(slug=draft[name]) if draft[name] else None
        for name, model in models.items()
    }
    return draft | found
