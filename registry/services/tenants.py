"""Writes of tenants, for platform superusers."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from registry.models import Device, Product, Project, Site, Tenant
from registry.services.constraint_errors import (
    delete_unused,
    save_checked,
)


def create_tenant(*, slug: str, name: str = "") -> Tenant:
    """Make a tenant. Raises BadInput for a taken or malformed slug."""
    return save_tenant(Tenant(slug=slug, name=name or slug))


def save_tenant(tenant: Tenant) -> Tenant:
    """Save a changed tenant. Raises BadInput naming the wrong field."""
    save_checked(tenant)
    return tenant


@transaction.atomic
def update_tenant(tenant: Tenant, **changes: Any) -> Tenant:
    row = Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
    for field, value in changes.items():
        setattr(row, field, value)
    return save_tenant(row)


def delete_tenant(tenant: Tenant) -> None:
    """Delete a tenant; raises InUse if it owns anything."""
    owned = [
        model.objects.filter(tenant=tenant)
        for model in (Device, Site, Product, Project)
    ]
    delete_unused(tenant, *owned)
