"""Reads of alarm rules."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db.models import QuerySet

from registry.models import Tenant
from registry.selectors.access import attach_caller_tenant
from state.exceptions import RuleNotFound
from state.models import AlarmRule


def list_rules(*, tenants: Sequence[Tenant]) -> QuerySet[AlarmRule]:
    """Return the rules of these tenants; member limits do not apply to products."""
    rows = AlarmRule.objects.filter(tenant__in=list(tenants))
    return rows.select_related("tenant", "product")


def get_rule(*, tenants: Sequence[Tenant], rule_id: UUID) -> AlarmRule:
    """Return one rule; raises RuleNotFound."""
    rule = list_rules(tenants=tenants).filter(public_id=rule_id).first()
    if rule is None:
        raise RuleNotFound("There is no such alarm rule.")
    attach_caller_tenant(rule, tenants)
    return rule
