"""The sweep keeps what is found about troubled devices; a look favours it."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from registry.models import Device
from state.models import LastFinding
from state.selectors.diagnosis import diagnose_set
from state.services.rediagnosis import rediagnose_across_tenants
from state.services.tenant_transfer import reset_for_new_tenant
from tests.factories import DeviceFactory
from tests.state.test_diagnosis_of_devices import Fleet, put

pytestmark = pytest.mark.django_db


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Fleet:
    cache.clear()
    # A slow machine would make the sweep rest between two runs of a test.
    monkeypatch.setattr("state.services.rediagnosis.COUNTING_SHARE", 0)
    return Fleet()


def lose(fleet: Fleet, number: int) -> None:
    """Let so many of the first site's devices be lost, and the others online."""
    put(fleet.others[0][number:])
    put(fleet.others[0][:number], "offline", "last_will")


def test_a_verdict_stays_while_its_evidence_moves_within_the_band(fleet: Fleet) -> None:
    device = fleet.others[0][0]
    verdicts = []
    for number in (5, 4, 5, 4, 2):
        lose(fleet, number)
        verdicts.append(fleet.diagnosis(device)["verdict"])
        rediagnose_across_tenants(now=now())

    assert verdicts == ["network"] * 4 + ["device"]


def test_without_an_earlier_finding_the_same_evidence_is_not_enough(
    fleet: Fleet,
) -> None:
    lose(fleet, 4)

    assert fleet.diagnosis(fleet.others[0][0])["verdict"] == "device"
    assert not LastFinding.objects.exists()  # a look writes nothing


def test_a_set_is_judged_in_favour_of_what_was_found_about_its_devices(
    fleet: Fleet,
) -> None:
    ids = [device.pk for device in fleet.others[0][:4]]
    lose(fleet, 5)
    rediagnose_across_tenants(now=now())
    lose(fleet, 3)
    ids = ids[:3]

    kept = diagnose_set(fleet.tenant, ids)
    LastFinding.objects.all().delete()
    fresh = diagnose_set(fleet.tenant, ids)

    assert (kept["verdict"], kept["where"]) == ("network", "site")
    assert fresh["verdict"] == "device"


def test_a_finding_goes_when_the_device_is_well_or_out_of_service(fleet: Fleet) -> None:
    lose(fleet, 3)
    rediagnose_across_tenants(now=now())
    assert LastFinding.objects.count() == 3

    put(fleet.others[0][:1])
    Device.objects.filter(pk=fleet.others[0][1].pk).update(lifecycle="replaced")
    reset_for_new_tenant(fleet.others[0][2], at=now())

    assert not LastFinding.objects.filter(device=fleet.others[0][2]).exists()
    assert rediagnose_across_tenants(now=now()) == 0
    assert not LastFinding.objects.exists()


def test_a_gateway_and_its_children_get_findings_of_their_own(fleet: Fleet) -> None:
    put([fleet.gateways[0]], "offline", "missed_heartbeats")
    put(fleet.children[0], "stale", "gateway_offline")

    rediagnose_across_tenants(now=now())

    assert LastFinding.objects.get(device=fleet.gateways[0]).verdict == "device"
    child = LastFinding.objects.get(device=fleet.children[0][0])
    assert (child.verdict, child.trait) == ("network", "gateway")


def test_findings_are_written_only_when_they_change_and_by_few_statements(
    fleet: Fleet,
) -> None:
    def run(expected: int) -> int:
        with CaptureQueriesContext(connection) as seen:
            assert rediagnose_across_tenants(now=now()) == expected
        return len(seen)

    lose(fleet, 1)
    one = run(1)
    stranger = DeviceFactory.create()
    put([*fleet.others[0], *fleet.others[1], stranger], "offline", "last_will")

    many = run(13)

    assert LastFinding.objects.get(device=stranger).verdict == "cannot_tell"
    assert many <= one
    assert run(0) <= one


def test_after_a_long_count_the_sweep_rests(fleet: Fleet, monkeypatch: Any) -> None:
    monkeypatch.setattr("state.services.rediagnosis.COUNTING_SHARE", 10_000)
    lose(fleet, 1)

    assert rediagnose_across_tenants(now=now()) == 1
    lose(fleet, 3)
    assert rediagnose_across_tenants(now=now()) == 0
    cache.clear()
    assert rediagnose_across_tenants(now=now()) == 2
