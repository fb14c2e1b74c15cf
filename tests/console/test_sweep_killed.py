"""The same evidence gives the same incidents, whoever is killed on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from console.models import Incident, IncidentEvent, IncidentMember
from registry.models import Tenant
from tests.commands.dying_worker import dying_worker
from tests.console.incidents import fall_silent, raise_alarm
from tests.console.test_incident_sweep import children_of_a_gateway, devices_at
from tests.factories import SiteFactory
from tests.fleet.test_indexer_killed import database_url

pytestmark = pytest.mark.django_db(transaction=True)
SWEEP = "console.tasks.sweep_incidents"
REPLAYS, REPLAYS_AT_FULL_SIZE = 5, 100
NEVER = 1_000_000  # a run has fewer statements
SEED = 16


@pytest.fixture
def workers(db: None) -> Iterator[list[Callable[[int], str]]]:
    with ExitStack() as stack:
        started = [dying_worker(SWEEP, url=database_url()) for _ in range(2)]
        yield [stack.enter_context(each) for each in started]


def make_troubles() -> None:
    """A dead gateway with alarms, a site that is lost, and two single devices."""
    at = datetime.now(UTC) - timedelta(minutes=2)
    family = children_of_a_gateway(12)
    tenant: Tenant = family[0].tenant
    fall_silent(family[:1], at=at, cause="last_will")
    fall_silent(family[1:], at=at, cause="gateway_offline", connectivity="stale")
    for device in family[1:]:
        raise_alarm(device, at=at)
    devices_at(family[0].site, 20)
    fall_silent(devices_at(SiteFactory.create(tenant=tenant, slug="lost"), 6), at=at)
    healthy = devices_at(SiteFactory.create(tenant=tenant), 30)
    fall_silent(healthy[:2], at=at)


def shown() -> tuple[list[tuple[str, ...]], Counter[str]]:
    """Return each incident with its devices, and how often what happened."""
    rows = [
        (
            row.cause,
            row.object_id,
            row.status,
            str(row.number),
            *IncidentMember.objects.filter(incident=row, until=None)
            .order_by("device__uid")
            .values_list("device__uid", flat=True),
        )
        for row in Incident.objects.order_by("number")
    ]
    kinds = IncidentEvent.objects.values_list("incident__object_id", "kind")
    return rows, Counter(map(str, kinds))


def test_replayed_in_two_workers_with_kills_the_incidents_are_the_same(
    workers: list[Callable[[int], str]], is_long: bool, counted: Counter[str]
) -> None:
    make_troubles()
    workers[0](NEVER)
    expected = shown()
    assert [row[0] for row in expected[0]].count("device") == 2
    assert {row[0] for row in expected[0]} == {"device", "gateway", "site"}
    draw = Random(SEED)

    for _ in range(REPLAYS_AT_FULL_SIZE if is_long else REPLAYS):
        Incident.objects.all().delete()
        with ThreadPoolExecutor(2) as threads:
            moments = [draw.randint(1, 40) for _ in workers]
            ended = list(threads.map(lambda run, nth: run(nth), workers, moments))
        counted["kills of a worker that sweeps incidents"] += ended.count("killed")
        for run in workers:
            run(NEVER)

        assert shown() == expected
