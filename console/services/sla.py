"""SLA policies: what is due of open incidents follows them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import IntegrityError, transaction

from console.exceptions import PolicyExists
from console.models import SlaPolicy
from console.services.incidents.clock import set_due_times_of_tenant

if TYPE_CHECKING:
    from registry.models import Tenant


@transaction.atomic
def create_policy(
    *, tenant: Tenant, severity: str, acknowledge_minutes: int, resolve_minutes: int
) -> SlaPolicy:
    """Set the times for a severity; raises PolicyExists if it has some."""
    policy = SlaPolicy(
        tenant=tenant,
        severity=severity,
        acknowledge_minutes=acknowledge_minutes,
        resolve_minutes=resolve_minutes,
    )
    return _saved(policy)


@transaction.atomic
def change_policy(policy: SlaPolicy, **fields: str | int) -> SlaPolicy:
    """Change what is given; raises PolicyExists if the new severity has a policy.

    Raises SlaPolicy.DoesNotExist if somebody has just deleted it.
    """
    rows = SlaPolicy.objects.select_related("tenant")
    locked = rows.select_for_update(no_key=True, of=("self",)).get(pk=policy.pk)
    for name, value in fields.items():
        setattr(locked, name, value)
    return _saved(locked)


@transaction.atomic
def delete_policy(policy: SlaPolicy) -> None:
    """Delete it: nothing is due any more for incidents of its severity."""
    tenant_id = policy.tenant_id
    policy.delete()
    set_due_times_of_tenant(tenant_id)


def _saved(policy: SlaPolicy) -> SlaPolicy:
    try:
        with transaction.atomic():
            policy.save()
    except IntegrityError:
        raise PolicyExists(
            f"There is a policy for the severity {policy.severity}."
        ) from None
    set_due_times_of_tenant(policy.tenant_id)
    return policy
