"""Reads of SLA policies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import QuerySet

from console.exceptions import NoSuchPolicy
from console.models import SlaPolicy
from iotplatform.common.ids import parse_uuid
from registry.selectors.access import attach_caller_tenant

if TYPE_CHECKING:
    from registry.models import Tenant


def list_policies(*, tenants: Sequence[Tenant]) -> QuerySet[SlaPolicy]:
    rows = SlaPolicy.objects.filter(tenant__in=[tenant.pk for tenant in tenants])
    return rows.select_related("tenant").order_by("pk")


def get_policy(*, tenants: Sequence[Tenant], public_id: UUID | str) -> SlaPolicy:
    """Return one policy; raises NoSuchPolicy."""
    wanted = parse_uuid(public_id)
    found = wanted and list_policies(tenants=tenants).filter(public_id=wanted).first()
    if not found:
        raise NoSuchPolicy
    attach_caller_tenant(found, tenants)
    return found
