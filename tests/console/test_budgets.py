"""Query budgets of the console's pages, opened with data by who sees most of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, LiteralString
from unittest.mock import patch

from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from console.choices import IncidentCause, IncidentObject
from console.models import Incident, IncidentMember
from console.urls import urlpatterns
from iotplatform.common import bulk_sql
from registry.choices import Role
from registry.models import Device, Tenant
from tests.admin.pages import Opened, open_page
from tests.console.conftest import Fleet
from tests.console.incidents import make_incident
from tests.pages.test_every_page import QUERIES, is_page, path_of
from tests.pages.world import make_world

if TYPE_CHECKING:
    from fleet.services.indexing import Indexer

CONVERTER = re.compile(r"<\w+:")
# Six are the frame's: session, person, memberships, tenants, counts, bridges and index.
MOST = 12
# Pages that need more, and why. A page that needs less leaves this list, or its number
# goes down.
MORE = {
    # Condition (6), diagnosis (5), history of eight kinds (9), what may be sent (2).
    "devices/<uid>/": 34,
    # Its diagnosis from counted peers (5), and four kinds of change before it (4).
    "incidents/<incident_id>/": 21,
    # The search, its traits and the diagnosis of what it matches.
    "cohorts/<cohort_id>/": 16,
    "reports/sla/": 15,  # days, incidents and commands are counted apart
}


@contextmanager
def noted_reads() -> Iterator[list[str]]:
    """Note the statements that Django does not see: those of ``bulk_sql.fetch``."""
    noted: list[str] = []
    fetch = bulk_sql.fetch

    def noting(statement: LiteralString, params: Sequence[Any] = ()) -> list[Any]:
        noted.append(statement)
        return fetch(statement, params)

    with patch.object(bulk_sql, "fetch", noting):
        yield noted


def of_a_site(tenant: Tenant) -> Incident:
    """Return an open incident of a site, with its devices."""
    begin = timezone.now() - timedelta(minutes=5)
    devices = Device.objects.filter(uid__startswith="cold-store")
    incident = make_incident(
        tenant,
        cause=IncidentCause.SITE,
        object_kind=IncidentObject.SITE,
        object_id="shanghai-01",
        device_count=len(devices),
        first_evidence_at=begin,
    )
    IncidentMember.objects.bulk_create(
        IncidentMember(tenant=tenant, incident=incident, device=device, since=begin)
        for device in devices
    )
    return incident


def test_no_page_costs_more_than_its_budget(
    indexer: Indexer, counted: Counter[str], settings: Any
) -> None:
    settings.OIDC_SERVER_URL = "https://id.example.com"
    settings.OIDC_CLIENT_ID = settings.OIDC_CLIENT_SECRET = "x"
    world = make_world(indexer)
    indexer.drain()
    world.rows.made[Incident] = of_a_site(world.rows.tenant)
    member, superuser = Fleet(world.rows.tenant, indexer).client(Role.ADMIN), Client()
    superuser.force_login(world.superuser)
    superuser.get("/platform/")  # the first page of a session saves it

    opened: dict[str, Opened] = {}
    for route in (CONVERTER.sub("<", str(pattern.pattern)) for pattern in urlpatterns):
        for query in (
            QUERIES.get(route, [""]) if route and is_page(route, world) else ()
        ):
            path = path_of(route, world) + query
            client = superuser if route == "platform/" else member
            cache.clear()  # the open counts are read
            with noted_reads() as reads:
                found = open_page(client, path)
            found.queries += reads
            opened[route + query] = found

    counted["pages of the console held to a budget"] += len(opened)
    assert {
        name: page.status for name, page in opened.items() if page.status != 200
    } == {}
    assert {
        name: (page.cost, page.queries)
        for name, page in opened.items()
        if page.cost > MORE.get(name, MOST)
    } == {}
    assert {
        name: opened[name].cost
        for name, most in MORE.items()
        if opened[name].cost < most
    } == {}
