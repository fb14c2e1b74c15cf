"""What people do with a work item, whichever table it is from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from console.models import AttentionItem
from console.selectors.work_items import (
    WorkItem,
    from_attention,
    from_call,
    from_incident,
)
from console.services.incidents.actions import (
    claim_incident,
    release_incident,
    resolve_incident,
)
from fleet.exceptions import CallTaken
from fleet.services.calls import claim_call, close_call, release_call
from iotplatform.common.row_lock import get_locked

if TYPE_CHECKING:
    from registry.models import User


@transaction.atomic
def claim_item(item: WorkItem, *, by: User) -> WorkItem:
    """Make an open item somebody's; raises CallTaken or IncidentTaken.

    Both: it is closed, or somebody else's.
    """
    if item.incident is not None:
        return from_incident(claim_incident(item.incident, by=by))
    if item.call is not None:
        return from_call(claim_call(item.call, by=by))
    row = _locked(item)
    if row.closed_at is not None or row.assignee_id not in (None, by.pk):
        raise CallTaken(row)
    row.assignee = by
    row.save(update_fields=["assignee"])
    return from_attention(row)


@transaction.atomic
def release_item(item: WorkItem, *, by: User) -> WorkItem:
    """Make an open item nobody's, also another person's who is away.

    Raises CallTaken or IncidentTaken (it is closed).
    """
    if item.incident is not None:
        return from_incident(release_incident(item.incident, by=by))
    if item.call is not None:
        return from_call(release_call(item.call, by=by))
    row = _locked(item)
    if row.closed_at is not None:
        raise CallTaken(row)
    row.assignee = None
    row.save(update_fields=["assignee"])
    return from_attention(row)


@transaction.atomic
def close_item(item: WorkItem, *, by: User) -> WorkItem:
    """Close an open item, an incident is resolved; raises as ``claim_item``."""
    if item.incident is not None:
        return from_incident(resolve_incident(item.incident, by=by))
    if item.call is not None:
        return from_call(close_call(item.call, by=by))
    row = _locked(item)
    if row.closed_at is not None or row.assignee_id not in (None, by.pk):
        raise CallTaken(row)
    row.closed_at, row.closed_by = timezone.now(), by
    row.save(update_fields=["closed_at", "closed_by"])
    return from_attention(row)


def _locked(item: WorkItem) -> AttentionItem:
    rows = AttentionItem.objects.select_related("assignee", "tenant", "closed_by")
    return get_locked(rows, public_id=item.public_id)
