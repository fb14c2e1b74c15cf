"""The pages of standing policies: the list with compliance, making, changing."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.models import Cohort, StandingPolicy
from fleet.services.cohorts import save_cohort
from fleet.services.policy_sweep import apply_policies_across_tenants
from registry.choices import Role
from tests.commands.units import now
from tests.console.conftest import Fleet

pytestmark = pytest.mark.django_db


@pytest.fixture
def cohort(acme: Fleet) -> Cohort:
    return save_cohort(
        tenant=acme.tenant, name="All", query="site:shanghai-01", actor=None
    )


def body(cohort: Cohort, **fields: Any) -> dict[str, Any]:
    return {
        "name": "Lights",
        "cohort": str(cohort.public_id),
        "desired": '{"led": "{{ device.uid }}"}',
        "priority": "3",
        "rate_per_minute": "60",
        "is_enabled": "on",
        **fields,
    }


def test_a_policy_is_made_shown_changed_and_deleted(
    acme: Fleet, cohort: Cohort
) -> None:
    client = acme.client()

    made = client.post("/policies/new/", body(cohort))
    row = StandingPolicy.objects.get()
    assert made["Location"] == f"/policies/{row.public_id}/"
    assert apply_policies_across_tenants(now=now()) == 3
    listed = client.get("/policies/").content.decode()
    page = client.get(made["Location"]).content.decode()
    changed = client.post(made["Location"], body(cohort, is_enabled="", priority="9"))

    assert "0 of 3" in listed
    assert "{{ device.uid }}" in page
    assert changed.status_code == 302
    row.refresh_from_db()
    assert (row.is_enabled, row.priority) == (False, 9)
    assert "switched off" in client.get("/policies/").content.decode()
    client.post(f"{made['Location']}delete/")
    assert not StandingPolicy.objects.exists()


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"desired": '{"led": "{{ device.owner }}"}'}, "led: There is no variable"),
        ({"desired": ""}, "Give a configuration, or a release."),
        ({"desired": "", "release": "9.9"}, "There is no such release."),
        ({"rate_per_minute": "0"}, "greater than or equal to 1"),
    ],
)
def test_a_wrong_policy_is_refused_beside_its_field(
    acme: Fleet, cohort: Cohort, fields: dict[str, str], text: str
) -> None:
    page = acme.client().post("/policies/new/", body(cohort, **fields))

    assert page.status_code == 422
    assert text in page.content.decode()
    assert not StandingPolicy.objects.exists()


def test_a_viewer_sees_policies_and_no_action(acme: Fleet, cohort: Cohort) -> None:
    made = acme.client().post("/policies/new/", body(cohort))
    viewer = acme.client(Role.VIEWER)

    page = viewer.get(made["Location"]).content.decode()

    assert "Delete this policy" not in page
    assert "New policy" not in viewer.get("/policies/").content.decode()
    assert viewer.get("/policies/new/").status_code == 403
    assert viewer.post(made["Location"], body(cohort)).status_code == 403
    assert viewer.post(f"{made['Location']}delete/").status_code == 403


def test_the_firmware_page_links_each_number_to_its_search(acme: Fleet) -> None:
    page = acme.client(Role.VIEWER).get("/fleet/firmware/")

    [row] = [row for row in page.context["rows"] if row["version"] == "1.4.2"]
    [cell] = row["cells"]
    searched = acme.client(Role.VIEWER).get(cell["url"])
    assert searched.context["result"].total == cell["count"] > 0
