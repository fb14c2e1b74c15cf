"""What people do with an incident. Of two at once one wins; the other one learns who.

Each raises IncidentTaken with the incident as it stands if somebody was first.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db import transaction
from django.utils import timezone

from console.choices import IncidentEventKind as Kind
from console.choices import IncidentStatus as Status
from console.exceptions import IncidentTaken
from console.models import Incident, IncidentEvent, IncidentMember
from console.services.incidents.clock import start_clocks, stop_clocks
from console.services.incidents.rows import end_members, write_members
from iotplatform.common.problems import BadInput
from iotplatform.common.row_lock import get_locked

if TYPE_CHECKING:
    from registry.models import User

# A claim of which nothing comes is free again after this.
CLAIM_LASTS = timedelta(minutes=30)
BY_A_PERSON = "resolved by a person"


@transaction.atomic
def claim_incident(incident: Incident, *, by: User) -> Incident:
    """Make it the person's own, which acknowledges it."""
    row = _lock_open(incident, by=by)
    if row.assignee_id != by.pk:
        row.assignee = by
        row.claim_until = timezone.now() + CLAIM_LASTS
        _say(row, Kind.CLAIMED, by)
    return _acted(row)


@transaction.atomic
def release_incident(incident: Incident, *, by: User) -> Incident:
    """Make it nobody's, also another person's who is away."""
    row = _lock_open(incident)
    if row.assignee is not None:
        _say(row, Kind.RELEASED, by, f"it was {row.assignee.get_username()}'s")
    row.assignee = row.claim_until = None
    return _saved(row)


@transaction.atomic
def assign_incident(incident: Incident, *, by: User, to: User) -> Incident:
    """Give it to a person; only a free one, or the giver's own."""
    row = _lock_open(incident, by=by)
    row.assignee, row.claim_until = to, None
    _say(row, Kind.ASSIGNED, by, f"to {to.get_username()}")
    return _acted(row)


@transaction.atomic
def acknowledge_incident(incident: Incident, *, by: User) -> Incident:
    """Say that a person has seen it; doing it again changes nothing."""
    row = _lock_open(incident)
    first = row.events.filter(actor__isnull=False).order_by("pk").first()
    if row.status == Status.OPEN:
        _say(row, Kind.ACKNOWLEDGED, by)
        return _acted(row)
    if first is not None and first.actor_id != by.pk and row.assignee_id != by.pk:
        raise IncidentTaken(row, f"{first.actor} was first.")
    return row


@transaction.atomic
def snooze_incident(incident: Incident, *, by: User, until: datetime) -> Incident:
    """Take it out of the queue until a time to come; BadInput for one in the past."""
    if until <= timezone.now():
        raise BadInput(until="It must be a time to come.")
    row = _lock_open(incident, by=by)
    row.status, row.snoozed_until = Status.SNOOZED, until
    if row.claim_until is not None:
        row.claim_until = until + CLAIM_LASTS
    _say(row, Kind.SNOOZED, by, f"until {until:%Y-%m-%d %H:%M} UTC")
    return _acted(row)


@transaction.atomic
def note_incident(incident: Incident, *, by: User, text: str) -> Incident:
    """Write a note into its timeline; a resolved one takes notes too."""
    row = lock_incident(incident)
    _say(row, Kind.NOTE, by, text)
    return _acted(row) if row.is_open else row


@transaction.atomic
def resolve_incident(
    incident: Incident, *, by: User, cause: str = "", text: str = ""
) -> Incident:
    """End it; it comes back only with new evidence."""
    row = _lock_open(incident, by=by)
    said = ": ".join(part for part in (cause, text) if part)
    _end(row, resolution=cause[:200] or BY_A_PERSON)
    _say(row, Kind.RESOLVED, by, said)
    return _acted(row)


@transaction.atomic
def reopen_incident(incident: Incident, *, by: User) -> Incident:
    """Open a resolved one again; it stays open until a person resolves it."""
    row = lock_incident(incident)
    if row.is_open:
        raise IncidentTaken(row, _who_did(row, Kind.REOPENED) or "It is open.")
    same = Incident.objects.filter(
        tenant=row.tenant_id,
        cause=row.cause,
        object_kind=row.object_kind,
        object_id=row.object_id,
    )
    if newer := same.exclude(status=Status.RESOLVED).first():
        raise IncidentTaken(row, f"#{newer.number} is open for the same cause.")
    row.status, row.resolved_at, row.resolution = Status.ACKNOWLEDGED, None, ""
    row.absorbed_by, row.calm_since, row.is_held_open = None, None, True
    _say(row, Kind.REOPENED, by)
    saved = _acted(row)
    start_clocks([saved], at=timezone.now())
    return saved


@transaction.atomic
def merge_incident(incident: Incident, *, by: User, into: Incident) -> Incident:
    """Resolve it as a part of another one of its tenant, which takes its devices.

    BadInput names ``into`` where that is no open incident of the same tenant.
    """
    first, second = sorted((incident, into), key=lambda row: row.pk)
    lock_incident(first)
    lock_incident(second)
    row = _lock_open(incident, by=by)
    into = lock_incident(into)
    if into.pk == row.pk or into.tenant_id != row.tenant_id or not into.is_open:
        raise BadInput(into="It must be another open incident of the same tenant.")
    live = IncidentMember.objects.filter(incident=row, until=None)
    added = [(into, *pair) for pair in live.values_list("device", "since")]
    _end(row, resolution="merged")
    write_members(added, [], now=timezone.now())
    row.absorbed_by = into
    _say(row, Kind.MERGED, by, f"into #{into.number} {into.title}")
    _say(into, Kind.ABSORBED, by, f"#{row.number} {row.title}")
    return _acted(row)


def _end(row: Incident, *, resolution: str) -> None:
    now = timezone.now()
    row.status, row.resolved_at, row.resolution = Status.RESOLVED, now, resolution
    row.snoozed_until, row.is_held_open = None, False
    stop_clocks([row.pk], at=now)
    end_members([row.pk], now=now)


def lock_incident(incident: Incident) -> Incident:
    rows = Incident.objects.select_related("tenant", "assignee", "absorbed_by")
    return get_locked(rows, pk=incident.pk)


def _lock_open(incident: Incident, *, by: User | None = None) -> Incident:
    """Return the locked row; refuse a resolved one, and another person's."""
    row = lock_incident(incident)
    if not row.is_open:
        ended = _who_did(row, Kind.RESOLVED, Kind.MERGED)
        raise IncidentTaken(row, ended or "It is resolved.")
    if by is not None and row.assignee is not None and row.assignee_id != by.pk:
        who = row.assignee.get_username()
        how = f"{who} has claimed it." if row.claim_until else f"It is {who}'s."
        raise IncidentTaken(row, how)
    return row


def _who_did(row: Incident, *kinds: Kind) -> str:
    """Say which person did this last; nothing if it happened by itself."""
    event = row.events.filter(kind__in=kinds).order_by("pk").last()
    if event is None or event.actor is None:
        return ""
    return f"{event.actor} was first: {event.get_kind_display()}."


def _say(row: Incident, kind: Kind, by: User, text: str = "") -> None:
    IncidentEvent.objects.create(
        tenant_id=row.tenant_id,
        incident=row,
        at=timezone.now(),
        kind=kind,
        actor=by,
        text=text,
    )


def _acted(row: Incident) -> Incident:
    """Save it; the first thing that a person does acknowledges it."""
    now = timezone.now()
    row.acknowledged_at = row.acknowledged_at or now
    if row.claim_until is not None:
        row.claim_until = max(row.claim_until, now + CLAIM_LASTS)
    if row.status == Status.OPEN:
        row.status = Status.ACKNOWLEDGED
    return _saved(row)


def _saved(row: Incident) -> Incident:
    row.save(
        update_fields=[
            "status",
            "assignee",
            "claim_until",
            "acknowledged_at",
            "snoozed_until",
            "resolved_at",
            "resolution",
            "absorbed_by",
            "calm_since",
            "is_held_open",
        ]
    )
    return row
