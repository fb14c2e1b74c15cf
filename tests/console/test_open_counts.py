"""The navigation says how much is open, to each person what they may see."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.core.cache import cache
from django.utils import timezone
from redis.exceptions import RedisError

from console.models import Incident
from console.selectors.open_counts import OpenCounts, count_open
from fleet.models import Cohort, CohortCall
from registry.choices import Role
from tests.console.conftest import Fleet
from tests.console.incidents import make_incident
from tests.factories import TenantFactory

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_is_kept() -> None:
    cache.clear()


def shown(page: str) -> dict[str, str]:
    """Return the counts of the navigation by the address that they stand at."""
    plain = page[page.index('aria-label="Console"') : page.index("<main")]
    found = re.findall(r'<a href="([^"]+)".*?</a>', plain)
    texts = re.findall(r'<a href="[^"]+"(.*?)</a>', plain)
    counts = (re.search(r'nav-count">([^<]+)<', text) for text in texts)
    return {at: one[1] for at, one in zip(found, counts, strict=True) if one}


def test_what_is_open_is_counted_in_one_query_as_the_queue_lists_it(
    acme: Fleet, django_assert_num_queries: Any
) -> None:
    for number in range(3):
        make_incident(acme.tenant, object_id=f"d-{number}")
    make_incident(TenantFactory.create(), object_id="foreign")
    make_incident(acme.tenant, object_id="later", status="snoozed")
    cohort = Cohort.objects.create(tenant=acme.tenant, name="Cold", query="tag:cold")
    same: dict[str, Any] = {"tenant": acme.tenant, "cohort": cohort}
    for kind in ("entered", "left", "reached"):
        CohortCall.objects.create(**same, kind=kind, uid=kind, opened_at=timezone.now())

    with django_assert_num_queries(1):
        found = count_open(tenants=[acme.tenant])

    assert found == OpenCounts(queue=5, incidents=3)
    page = acme.client().get("/queue/").content.decode()
    assert "5 open items" in page
    assert shown(page) == {"/queue/": "5", "/incidents/": "3"}
    assert '5<span class="visually-hidden"> open</span>' in page


def test_the_count_follows_what_the_person_does(acme: Fleet) -> None:
    incident = make_incident(acme.tenant)
    client = acme.client(Role.OPERATOR)
    assert shown(client.get("/fleet/").content.decode())["/queue/"] == "1"

    client.post(f"/incidents/{incident.public_id}/resolve/")

    assert shown(client.get("/fleet/").content.decode()) == {}


def test_the_count_is_kept_for_some_seconds_and_needs_no_redis(
    acme: Fleet, monkeypatch: Any, django_assert_num_queries: Any
) -> None:
    client = acme.client()
    make_incident(acme.tenant)
    client.get("/queue/")
    Incident.objects.all().delete()
    assert shown(client.get("/fleet/").content.decode())["/queue/"] == "1"

    def lost(*_: Any) -> None:
        raise RedisError

    monkeypatch.setattr(cache, "get", lost)

    assert shown(client.get("/fleet/").content.decode()) == {}
