"""Reads of notification rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from django.db.models import QuerySet

from console.exceptions import NoSuchRule
from console.models import NotificationRule
from iotplatform.common.ids import parse_uuid
from registry.selectors.access import attach_caller_tenant

if TYPE_CHECKING:
    from registry.models import Tenant


def list_rules(*, tenants: Sequence[Tenant]) -> QuerySet[NotificationRule]:
    """Return the rules; they belong to the whole tenant."""
    rows = NotificationRule.objects.filter(tenant__in=tenants)
    return rows.select_related("tenant", "created_by").order_by("pk")


def get_rule(*, tenants: Sequence[Tenant], public_id: UUID | str) -> NotificationRule:
    """Return one rule; raises NoSuchRule."""
    wanted = parse_uuid(public_id)
    found = wanted and list_rules(tenants=tenants).filter(public_id=wanted).first()
    if not found:
        raise NoSuchRule
    attach_caller_tenant(found, tenants)
    return found
