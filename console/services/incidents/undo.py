"""Taking back what a person has just done with an incident."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from console.choices import IncidentEventKind as Kind
from console.choices import IncidentStatus as Status
from console.exceptions import IncidentTaken
from console.models import Incident, IncidentEvent
from console.services.incidents.actions import (
    lock_incident,
    release_incident,
    reopen_incident,
)

if TYPE_CHECKING:
    from registry.models import User

# Of these each has a true reverse. Who has seen an incident has seen it: there is no
# undo of an acknowledgement.
UNDONE = (Kind.CLAIMED, Kind.SNOOZED, Kind.RESOLVED)
# The page offers it for 8 seconds; the rest is for slow networks.
UNDO_WITHIN = timedelta(seconds=30)


@transaction.atomic
def undo_action(incident: Incident, *, by: User, event_id: str) -> Incident:
    """Take back the claim, snooze or resolution that this event records.

    The reverse is an event of its own. Raises IncidentTaken if it is too late, the
    event is not the person's, or something was done since.
    """
    row = lock_incident(incident)
    event = find_undoable(row, by=by)
    if event is None or str(event.pk) != event_id:
        raise IncidentTaken(row, _why_not(row, by=by))
    if event.kind == Kind.CLAIMED:
        return release_incident(row, by=by)
    if event.kind == Kind.SNOOZED:
        return _wake(row, by=by)
    was_held_open = _was_held_open(row, event)
    row = reopen_incident(row, by=by)
    if not was_held_open:  # it closes by itself again
        row.is_held_open = False
        row.save(update_fields=["is_held_open"])
    return row


def find_undoable(row: Incident, *, by: User) -> IncidentEvent | None:
    """Return the newest event if it is the person's, fresh, and can be taken back."""
    event = _newest(row)
    if event is None or event.actor_id != by.pk or event.kind not in UNDONE:
        return None
    return event if event.at > timezone.now() - UNDO_WITHIN else None


def _newest(row: Incident) -> IncidentEvent | None:
    """Return the newest event; that it grew changes nothing that a person did."""
    events = row.events.exclude(kind=Kind.GREW).select_related("actor")
    return events.order_by("-pk").first()


def _why_not(row: Incident, *, by: User) -> str:
    newest = _newest(row)
    if newest is not None and newest.actor_id not in (None, by.pk):
        return f"{newest.actor} has acted since: {newest.get_kind_display()}."
    return "It is too late to undo this."


def _wake(row: Incident, *, by: User) -> Incident:
    row.status, row.snoozed_until = Status.ACKNOWLEDGED, None
    row.save(update_fields=["status", "snoozed_until"])
    IncidentEvent.objects.create(
        tenant_id=row.tenant_id,
        incident=row,
        at=timezone.now(),
        kind=Kind.WOKE,
        actor=by,
        text="undone",
    )
    return row


def _was_held_open(row: Incident, resolved: IncidentEvent) -> bool:
    """Whether a person had reopened it before, so that it did not close by itself."""
    ends = row.events.filter(
        pk__lt=resolved.pk, kind__in=(Kind.REOPENED, Kind.RESOLVED)
    )
    before = ends.order_by("-pk").first()
    return before is not None and before.kind == Kind.REOPENED
