"""What a person has just done in the queue can be undone, unless others have acted."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from console.models import Incident, IncidentEvent
from console.services.incidents.sweep import sweep_incidents_across_tenants
from registry.choices import Role
from tests.console.conftest import Fleet
from tests.console.incidents import make_incident

pytestmark = pytest.mark.django_db


def act(client: Client, incident: Incident, action: str) -> str:
    """Act from the queue; return the page that follows."""
    path = f"/incidents/{incident.public_id}/{action}/"
    return client.post(path, {"from_queue": "1"}, follow=True).content.decode()


def undo(client: Client, incident: Incident, page: str) -> Any:
    event = re.search(r'name="event" value="(\d+)"', page)
    assert event is not None
    return client.post(f"/queue/{incident.public_id}/undo/", {"event": event[1]})


def kinds_of(incident: Incident) -> list[str]:
    return list(incident.events.order_by("pk").values_list("kind", flat=True))


@pytest.mark.parametrize(
    ("action", "reverse"),
    [("claim", "released"), ("snooze", "woke"), ("resolve", "reopened")],
)
def test_an_action_is_undone_by_an_event_of_its_own(
    acme: Fleet, action: str, reverse: str
) -> None:
    incident = make_incident(acme.tenant)
    client = acme.client(Role.OPERATOR)

    page = act(client, incident, action)
    answer = undo(client, incident, page)

    assert answer.status_code == 302
    incident.refresh_from_db()
    assert incident.status == "acknowledged"
    assert (incident.assignee, incident.snoozed_until) == (None, None)
    assert (incident.resolved_at, incident.is_held_open) == (None, False)
    assert kinds_of(incident)[-1] == reverse
    again = client.get("/queue/").content.decode()
    assert "data-undo" not in again
    assert incident.title in again


def test_an_undone_resolution_closes_by_itself_again_unless_a_person_held_it_open(
    acme: Fleet,
) -> None:
    plain, held = (make_incident(acme.tenant, object_id=uid) for uid in ("a", "b"))
    client = acme.client(Role.OPERATOR)
    act(client, held, "resolve")
    act(client, held, "reopen")

    for incident in (plain, held):
        undo(client, incident, act(client, incident, "resolve"))
    now = timezone.now()
    for seconds in (1, 30):
        sweep_incidents_across_tenants(now=now + timedelta(seconds=seconds))

    ended = Incident.objects.exclude(resolved_at=None)
    assert list(ended.values_list("object_id", flat=True)) == ["a"]


def test_an_acknowledgement_is_not_undone(acme: Fleet) -> None:
    page = act(acme.client(Role.OPERATOR), make_incident(acme.tenant), "acknowledge")

    assert "is acknowledged" in page
    assert "data-undo" not in page


def test_undo_is_refused_when_somebody_else_has_acted(acme: Fleet) -> None:
    incident = make_incident(acme.tenant)
    first, second = acme.client(Role.OPERATOR), acme.client(Role.OPERATOR)
    page = act(first, incident, "resolve")
    second.post(f"/incidents/{incident.public_id}/reopen/")

    answer = undo(first, incident, page)

    assert answer.status_code == 409
    text = answer.content.decode()
    assert "has acted since: reopened" in text
    assert incident.title in text
    assert kinds_of(incident)[-1] == "reopened"


@pytest.mark.parametrize("why", ["late", "another person", "a viewer"])
def test_undo_is_for_the_one_who_acted_and_soon(acme: Fleet, why: str) -> None:
    incident = make_incident(acme.tenant)
    first = acme.client(Role.OPERATOR)
    page = act(first, incident, "claim")
    client = first
    if why == "late":
        IncidentEvent.objects.update(at=timezone.now() - timedelta(minutes=1))
    else:
        role = Role.VIEWER if why == "a viewer" else Role.OPERATOR
        client = acme.client(role)

    answer = undo(client, incident, page)

    assert answer.status_code == (403 if why == "a viewer" else 409)
    incident.refresh_from_db()
    assert incident.assignee is not None
