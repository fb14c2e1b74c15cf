"""Alarm rules: written, changed and deleted by people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction

from state.exceptions import RuleRefused
from state.models import AlarmRule

if TYPE_CHECKING:
    from registry.models import Product, Tenant


@transaction.atomic
def create_rule(*, tenant: Tenant, product: Product, **fields: Any) -> AlarmRule:
    """Write a rule; RuleRefused where the product has one with this code."""
    rule = AlarmRule(tenant=tenant, product=product, **fields)
    _refuse_twins(rule)
    rule.save(force_insert=True)
    return rule


@transaction.atomic
def change_rule(rule: AlarmRule, **fields: Any) -> AlarmRule:
    """Change a rule; open alarms stay until their values or people end them."""
    rows = AlarmRule.objects.select_related("tenant", "product")
    locked = rows.select_for_update(of=("self",)).get(pk=rule.pk)
    for name, value in fields.items():
        setattr(locked, name, value)
    _refuse_twins(locked)
    locked.save()
    return locked


def delete_rule(rule: AlarmRule) -> None:
    """Remove a rule; the alarms that it made stay."""
    rule.delete()


def _refuse_twins(rule: AlarmRule) -> None:
    twins = AlarmRule.objects.filter(product=rule.product, code=rule.code)
    if twins.exclude(pk=rule.pk).exists():
        raise RuleRefused(code="The product has a rule with this code.")
