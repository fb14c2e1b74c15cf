"""Commands and jobs that are part of an incident are no work of their own."""

from __future__ import annotations

from collections.abc import Mapping

from django.db.models import Exists, OuterRef, Subquery

from console.choices import IncidentCause
from console.models import AttentionItem, Incident, IncidentMember
from console.services.incidents.wanted import Wanted
from iotplatform.common import bulk_sql
from state.choices import AttentionKind

_LINK = """
    UPDATE console_attentionitem i SET incident_id = v.incident_id
    FROM unnest(%s::uuid[], %s::bigint[]) AS v(public_id, incident_id)
    WHERE i.public_id = v.public_id AND i.incident_id IS NULL AND i.closed_at IS NULL
        AND i.assignee_id IS NULL
"""


def link_items(wanted: Mapping[int, Wanted]) -> None:
    """Make open items part of their incidents; one that is claimed stays its owner's.

    A command also belongs to the incident that its device is in.
    """
    pairs = [
        (public_id, incident_id)
        for incident_id, each in wanted.items()
        for public_id in each.items
    ]
    if pairs:
        bulk_sql.run(_LINK, bulk_sql.columns_of(pairs, 2))
    members = IncidentMember.objects.filter(
        device=OuterRef("device_id"),
        tenant=OuterRef("tenant_id"),
        until=None,
        incident__resolved_at=None,
    ).exclude(incident__cause__in=(IncidentCause.DRIFT, IncidentCause.COMMAND))
    free = AttentionItem.objects.filter(closed_at=None, incident=None, assignee=None)
    free.filter(Exists(members), kind=AttentionKind.COMMAND).update(
        incident=Subquery(members.order_by("incident").values("incident")[:1])
    )


def unlink_items() -> None:
    """Make open items work of their own again, whose incident has ended by itself.

    What a person has resolved stays resolved.
    """
    over = Incident.objects.filter(
        pk=OuterRef("incident_id"), resolved_at__isnull=False, resolution=""
    )
    AttentionItem.objects.filter(Exists(over), closed_at=None).update(incident=None)
