"""The clocks of incidents: when they run, and when what is due."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.db.models import F, Q, Sum
from django.db.models.functions import Greatest

from console.choices import IncidentEventKind
from console.models import Incident, IncidentEvent, IncidentInterval, SlaPolicy
from iotplatform.common import bulk_sql

_SET_DUE = bulk_sql.update_by_key(Incident, "acknowledge_due_at", "resolve_due_at")
# Each clock ends with its own incident's cause.
_STOP_OF_CALM = """
    UPDATE console_incidentinterval c
    SET until = greatest(c.from_at, coalesce(i.calm_since, %s))
    FROM console_incident i
    WHERE i.id = c.incident_id AND c.until IS NULL AND i.id = ANY(%s)
"""


def start_clocks(incidents: Sequence[Incident], *, at: datetime | None = None) -> None:
    """Let the clocks run from ``at``, for a new incident from its first evidence."""
    IncidentInterval.objects.bulk_create(
        [
            IncidentInterval(
                tenant_id=row.tenant_id,
                incident=row,
                from_at=at or row.first_evidence_at,
            )
            for row in incidents
        ],
        ignore_conflicts=True,  # it runs already
    )
    set_due_times(incidents)


def stop_clocks(incident_ids: Collection[int], *, at: datetime) -> None:
    """Stop the clocks that run."""
    running = IncidentInterval.objects.filter(incident__in=incident_ids, until=None)
    running.update(until=Greatest(F("from_at"), at))


def stop_clocks_with_cause(incident_ids: Collection[int], *, now: datetime) -> None:
    """Stop the clocks when the cause was gone; ``now`` where nobody knows that."""
    bulk_sql.run(_STOP_OF_CALM, [now, list(incident_ids)])


def set_due_times(incidents: Sequence[Incident]) -> None:
    """Set what is due when, by the tenant's policy; null while the clock stands."""
    ids = [row.pk for row in incidents]
    policies = {
        (row.tenant_id, row.severity): row
        for row in SlaPolicy.objects.filter(
            tenant__in={row.tenant_id for row in incidents}
        )
    }
    started, spent = _run_times(ids)
    changed = []
    for row in incidents:
        policy = policies.get((row.tenant_id, row.severity))
        before = row.acknowledge_due_at, row.resolve_due_at
        row.acknowledge_due_at = row.resolve_due_at = None
        if policy is not None and row.pk in started:
            begin = started[row.pk] - spent[row.pk]
            minutes = policy.acknowledge_minutes, policy.resolve_minutes
            row.acknowledge_due_at = begin + timedelta(minutes=minutes[0])
            row.resolve_due_at = begin + timedelta(minutes=minutes[1])
        if before != (row.acknowledge_due_at, row.resolve_due_at):
            changed.append((row.pk, row.acknowledge_due_at, row.resolve_due_at))
    if changed:
        bulk_sql.run(_SET_DUE, bulk_sql.columns_of(changed, 3))


def set_due_times_of_tenant(tenant_id: int) -> None:
    """Set the due times of the open incidents anew, after a policy has changed."""
    rows = Incident.objects.filter(Q(resolved_at=None), tenant=tenant_id)
    set_due_times(list(rows.order_by("pk").select_for_update(no_key=True)))


def follow_maintenance(
    incidents: Sequence[Incident], in_work: set[int], *, now: datetime
) -> None:
    """Stop the clocks of incidents whose devices are all in work; run the others'."""
    # Only open incidents have one; to name them would cost more than to read them.
    clocks = IncidentInterval.objects.filter(until=None)
    running = set(clocks.values_list("incident", flat=True))
    stops = [row for row in incidents if row.pk in in_work and row.pk in running]
    at_rest = in_work | running
    starts = [row for row in incidents if row.pk not in at_rest]
    if stops:
        stop_clocks([row.pk for row in stops], at=now)
        set_due_times(stops)
    if starts:
        start_clocks(starts, at=now)
    kinds = IncidentEventKind
    IncidentEvent.objects.bulk_create(
        IncidentEvent(
            tenant_id=row.tenant_id, incident=row, at=now, kind=kind, text=text
        )
        for rows, kind, text in (
            (stops, kinds.CLOCK_STOPPED, "all its devices are in maintenance"),
            (starts, kinds.CLOCK_CONTINUED, "maintenance is over"),
        )
        for row in rows
    )


def _run_times(
    ids: Sequence[int],
) -> tuple[dict[int, datetime], dict[int, timedelta]]:
    """Return since when each clock runs, and how long it ran before."""
    rows = IncidentInterval.objects.filter(incident__in=ids)
    started = dict(rows.filter(until=None).values_list("incident", "from_at"))
    spent: dict[int, timedelta] = defaultdict(timedelta)
    ended = rows.exclude(until=None).values("incident").order_by()
    for found in ended.annotate(spent=Sum(F("until") - F("from_at"))):
        spent[found["incident"]] = found["spent"]
    return started, spent
