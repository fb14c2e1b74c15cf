"""Reads of firmware releases."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db.models import QuerySet

from registry.exceptions import NoSuchObject
from registry.models import FirmwareRelease, Tenant


def list_releases(*, tenants: Sequence[Tenant]) -> QuerySet[FirmwareRelease]:
    """Return the firmware releases of these tenants, newest first."""
    rows = FirmwareRelease.objects.filter(tenant__in=tenants).order_by("-pk")
    rows = rows.select_related("tenant", "created_by")
    return rows.prefetch_related("products", "hardware_revisions")


def get_release(*, tenants: Sequence[Tenant], public_id: UUID) -> FirmwareRelease:
    """Return a firmware release; raises NoSuchObject."""
    row = list_releases(tenants=tenants).filter(public_id=public_id).first()
    if row is None:
        raise NoSuchObject("firmware release")
    return row
