"""Create, change and delete alarm rules; the alarms of a rule follow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction
from django.utils import timezone

from iotplatform.common.row_lock import get_locked
from state.choices import AlarmReason
from state.exceptions import RuleRefused
from state.models import AlarmRule
from state.services.alarms import rule_changes

if TYPE_CHECKING:
    from registry.models import Product, Tenant, User

# What a rule is about: if it changes, the open alarms are no longer true.
SUBJECT = ("metric", "code")
JUDGED_BY = ("comparison", "threshold", "hysteresis", "hold_seconds")


@transaction.atomic
def create_rule(*, tenant: Tenant, product: Product, **fields: Any) -> AlarmRule:
    """Create a rule. Raises RuleRefused if the product has one with this code."""
    rule = AlarmRule(tenant=tenant, product=product, **fields)
    _refuse_twins(rule)
    rule.save(force_insert=True)
    return rule


def change_rule(rule: AlarmRule, *, by: User | None = None, **fields: Any) -> AlarmRule:
    """Change a rule, and let its open alarms follow.

    If it is switched off, or gets another metric or code, its alarms are cleared. With
    another threshold, hysteresis or hold time the latest values are judged again, and
    alarms that no longer apply are cleared. New alarms wait for the next value. Raises
    RuleRefused if the product has another rule with this code.
    """
    before, changed = _change(rule, fields)
    now, by_id = timezone.now(), by.pk if by else None
    moved = {name for name, old in before.items() if old != getattr(changed, name)}
    if not changed.enabled:
        rule_changes.close_alarms(changed, AlarmReason.RULE_OFF, now=now, by_id=by_id)
    elif moved & {*SUBJECT}:
        reason = AlarmReason.RULE_CHANGED
        rule_changes.close_alarms(changed, reason, now=now, by_id=by_id)
    elif moved & {*JUDGED_BY, "severity"}:
        held_for = before["hold_seconds"]
        rule_changes.rejudge_alarms(changed, held_for=held_for, now=now, by_id=by_id)
    return changed


def delete_rule(rule: AlarmRule, *, by: User | None = None) -> None:
    """Delete a rule, and clear its alarms."""
    AlarmRule.objects.filter(pk=rule.pk).update(enabled=False)  # raises no more alarms
    now, by_id = timezone.now(), by.pk if by else None
    rule_changes.close_alarms(rule, AlarmReason.RULE_DELETED, now=now, by_id=by_id)
    rule.delete()


@transaction.atomic
def _change(
    rule: AlarmRule, fields: dict[str, Any]
) -> tuple[dict[str, Any], AlarmRule]:
    """Save the changes; return the old values that decide on alarms, and the rule."""
    rows = AlarmRule.objects.select_related("tenant", "product")
    locked = get_locked(rows, pk=rule.pk)
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
        raise RuleRefused(code="The product already has a rule with this code.")
