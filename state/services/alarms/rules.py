"""Alarm rules: written, changed and deleted by people, and what that does to alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from state.choices import AlarmReason
from state.exceptions import RuleRefused
from state.models import AlarmRule
from state.services.alarms import rule_changes

if TYPE_CHECKING:
    from registry.models import Product, Tenant, User

# What a rule is about: with another one, its alarms would say what is not so.
SUBJECT = ("metric", "code")
JUDGED_BY = ("comparison", "threshold", "hysteresis", "hold_seconds")


@transaction.atomic
def create_rule(*, tenant: Tenant, product: Product, **fields: Any) -> AlarmRule:
    """Write a rule; RuleRefused where the product has one with this code."""
    rule = AlarmRule(tenant=tenant, product=product, **fields)
    _refuse_twins(rule)
    rule.save(force_insert=True)
    return rule


def change_rule(rule: AlarmRule, *, by: User | None = None, **fields: Any) -> AlarmRule:
    """Change a rule, and have its open alarms follow; RuleRefused for a code twice.

    Switched off, or about another metric or code now, its alarms are cleared. Another
    threshold, hysteresis or hold time: the latest values are judged anew, and what is
    no alarm by it is cleared. An alarm is only raised by the next value.
    """
    before, changed = _change(rule, fields)
    now, by_id = timezone.now(), by.pk if by else None
    moved = {name for name, old in before.items() if old != getattr(changed, name)}
    if not changed.enabled:
        rule_changes.end_all(changed, AlarmReason.RULE_OFF, now=now, by_id=by_id)
    elif moved & {*SUBJECT}:
        rule_changes.end_all(changed, AlarmReason.RULE_CHANGED, now=now, by_id=by_id)
    elif moved & {*JUDGED_BY, "severity"}:
        held_for = before["hold_seconds"]
        rule_changes.judge_anew(changed, held_for=held_for, now=now, by_id=by_id)
    return changed


def delete_rule(rule: AlarmRule, *, by: User | None = None) -> None:
    """Remove a rule, and clear the alarms that it made."""
    AlarmRule.objects.filter(pk=rule.pk).update(enabled=False)  # it makes no more
    now, by_id = timezone.now(), by.pk if by else None
    rule_changes.end_all(rule, AlarmReason.RULE_DELETED, now=now, by_id=by_id)
    rule.delete()


@transaction.atomic
def _change(
    rule: AlarmRule, fields: dict[str, Any]
) -> tuple[dict[str, Any], AlarmRule]:
    """Save it; return what it said before of when there is an alarm, and the rule."""
    rows = AlarmRule.objects.select_related("tenant", "product")
    locked = rows.select_for_update(of=("self",)).get(pk=rule.pk)
    names = (*SUBJECT, *JUDGED_BY, "severity")
    before = {name: getattr(locked, name) for name in names}
    for name, value in fields.items():
        setattr(locked, name, value)
    _refuse_twins(locked)
    locked.save()
    return before, locked


def _refuse_twins(rule: AlarmRule) -> None:
    twins = AlarmRule.objects.filter(product=rule.product, code=rule.code)
    if twins.exclude(pk=rule.pk).exists():
        raise RuleRefused(code="The product has a rule with this code.")
