"""Reads of tenants."""

from __future__ import annotations

from django.db.models import QuerySet

from registry.exceptions import NoSuchObject
from registry.models import Tenant


def list_tenants_across_tenants() -> QuerySet[Tenant]:
    """Return every tenant, by slug."""
    return Tenant.objects.order_by("slug")


def get_tenant_across_tenants(slug: str) -> Tenant:
    """Return the tenant with this slug; raises NoSuchObject."""
    if "\0" not in slug and (found := Tenant.objects.filter(slug=slug).first()):
        return found
    raise NoSuchObject("tenant")
