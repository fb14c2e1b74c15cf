"""Finds one object by its slug or public id in the caller's tenants."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar
from uuid import UUID

from django.db import models

from registry.exceptions import AmbiguousSlug, NoSuchObject
from registry.models import Tenant
from registry.selectors.access import attach_caller_tenant

Row = TypeVar("Row", bound=models.Model)


def get_by_slug(
    rows: models.QuerySet[Row], *, tenants: Sequence[Tenant], slug: str, what: str
) -> Row:
    """Return the row with this slug in these tenants.

    Raises NoSuchObject, or AmbiguousSlug (400 naming ``tenant``) if several have it.
    """
    if "\0" in slug:
        raise NoSuchObject(what)
    found = list(rows.filter(tenant__in=tenants, slug=slug)[:2])
    if not found:
        raise NoSuchObject(what)
    if len(found) > 1:
        raise AmbiguousSlug(what, slug)
    attach_caller_tenant(found[0], tenants)
    return found[0]


def get_by_public_id(
    rows: models.QuerySet[Row], *, tenants: Sequence[Tenant], public_id: UUID, what: str
) -> Row:
    """Return the row with this public id, of those that the caller may see.

    Raises NoSuchObject.
    """
    found = attach_caller_tenant(rows.filter(public_id=public_id).first(), tenants)
    if found is None:
        raise NoSuchObject(what)
    return found
