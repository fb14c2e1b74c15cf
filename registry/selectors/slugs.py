"""Finding one object by the slug that it has in one of the caller's tenants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from django.db import models

from registry.exceptions import AmbiguousSlug, NoSuchObject
from registry.models import Tenant
from registry.selectors.access import carry

Row = TypeVar("Row", bound=models.Model)


def get_by_slug(
    rows: models.QuerySet[Row], *, tenants: Sequence[Tenant], slug: str, what: str
) -> Row:
    """Return the row of this slug in these tenants.

    Raises NoSuchObject, or AmbiguousSlug (400 naming ``tenant``) where two have it.
    """
    if "\0" in slug:
        raise NoSuchObject(what)
    found = list(rows.filter(tenant__in=tenants, slug=slug)[:2])
    if not found:
        raise NoSuchObject(what)
    if len(found) > 1:
        raise AmbiguousSlug(what, slug)
    carry(found[0], tenants)
    return found[0]
