"""Which devices count as peers: within the caller's limit, a sample of large fleets."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.utils.timezone import now
from rest_framework.test import APIClient

from registry.models import Device, Membership, MembershipLimit
from state.models import Presence
from state.selectors import peers
from tests.factories import DeviceFactory, SiteFactory
from tests.state.test_diagnosis_of_devices import Fleet, put

pytestmark = pytest.mark.django_db


@pytest.fixture
def fleet() -> Fleet:
    cache.clear()
    return Fleet()


def evidence(client: APIClient, device: Device) -> dict[str, Any]:
    answer = client.get(f"/api/v1/devices/{device.uid}/state/").json()
    return {row["name"]: row for row in answer["diagnosis"]["evidence"]}


def test_a_member_of_one_site_gets_counts_of_that_site_only(fleet: Fleet) -> None:
    lost = fleet.others[0][0]
    put([lost], "offline", "last_will")
    whole, limited = fleet.client(), fleet.client()
    MembershipLimit.objects.create(
        membership=Membership.objects.filter(tenant=fleet.tenant).latest("pk"),
        tenant=fleet.tenant,
        site=lost.site,
    )

    of_all, of_site = evidence(whole, lost), evidence(limited, lost)

    model = of_all["model"]
    assert (model["total"], of_all["site"]["rest_total"]) == (25, 13)
    assert (of_site["model"]["total"], of_site["site"]["total"]) == (12, 12)
    assert of_site["site"]["rest_total"] == 0


def test_a_large_fleet_is_sampled_and_all_devices_on_the_same_gateway_and_site_counted(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "MOST_COUNTED", 8)
    site = SiteFactory.create(tenant=fleet.tenant)
    mine = [fleet.make(site) for _ in range(7)]
    put(mine, "offline", "last_will")

    counts = peers.count_peers(fleet.tenant, site=str(site.pk), now=now())
    again = peers.count_peers(fleet.tenant, site=str(site.pk), now=now())

    group, whole = counts["site", str(site.pk)], counts[peers.FLEET]
    assert (group.total, group.of("silent")) == (7, 7)
    assert 8 <= whole.total <= 15
    assert again == counts


def test_a_failed_site_is_diagnosed_from_a_sample_of_the_fleet(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "MOST_COUNTED", 15)
    site = SiteFactory.create(tenant=fleet.tenant)
    mine = [fleet.make(site) for _ in range(6)]
    put(mine, "offline", "last_will")

    found = fleet.diagnosis(mine[0])

    assert (found["verdict"], found["where"]) == ("network", "site")


def test_devices_of_another_tenant_are_no_peers(fleet: Fleet) -> None:
    stranger = DeviceFactory.create()
    put([stranger])

    counts = peers.count_peers(fleet.tenant, site=str(stranger.site_id), now=now())

    assert ("site", str(stranger.site_id)) not in counts
    assert counts[peers.FLEET].total == Presence.objects.count() - 1
