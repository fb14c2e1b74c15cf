"""What people enter about incidents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from console.exceptions import NoSuchIncident
from console.selectors.incidents import get_incident
from iotplatform.common.problems import BadInput, NotFound
from registry.permissions import Right, may
from registry.selectors.people import find_person

if TYPE_CHECKING:
    from console.models import Incident
    from registry.models import Tenant, User

# Value of the choice → its label, hours.
SNOOZES = {
    "1": ("1 hour", 1),
    "4": ("4 hours", 4),
    "24": ("1 day", 24),
    "168": ("1 week", 168),
}


def read_person(tenant: Tenant, name: str) -> User:
    """Return a member who may operate; raises BadInput naming ``assignee``."""
    try:
        person = find_person(tenant=tenant, username=name.strip())
    except NotFound:
        raise BadInput(assignee="There is no such member.") from None
    if not may(person, tenant.pk, Right.OPERATE):
        raise BadInput(assignee=f"{name} may not operate in this tenant.")
    return person


def read_target(tenants: Sequence[Tenant], public_id: str) -> Incident:
    """Return the incident to merge into; raises BadInput naming ``into``."""
    try:
        return get_incident(tenants=tenants, public_id=public_id)
    except NoSuchIncident:
        raise BadInput(into="There is no such incident.") from None
