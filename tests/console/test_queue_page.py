"""The work queue: what cohorts call for, and what people do about it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.utils import timezone

from fleet.models import Cohort, CohortCall
from registry.choices import Role
from registry.models import MembershipLimit
from tests.console.conftest import Fleet
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db


def make_calls(fleet: Fleet, *, entered: int = 0, left: int = 0, **size: int) -> Cohort:
    """Make a cohort that has called for so many devices, and about its size."""
    row = Cohort.objects.create(tenant=fleet.tenant, name="Cold", query="tag:cold")
    same: dict[str, Any] = {"tenant": fleet.tenant, "cohort": row}
    same["opened_at"] = timezone.now()
    kinds = ["entered"] * entered + ["left"] * left
    CohortCall.objects.bulk_create(
        CohortCall(**same, kind=kind, uid=f"d-{number}", device=fleet.devices[0])
        for number, kind in enumerate(kinds)
    )
    if size:
        CohortCall.objects.create(**same, kind="reached", **size)
    return row


def lines_of(page: str) -> int:
    return len(re.findall(r"<tr data-item>", page))


def until_of(page: str) -> str:
    """Return the time up to which the page shows calls, as its forms send it."""
    [until] = set(re.findall(r'name="until" value="([^"]+)"', page))
    return str(until)


def test_a_flood_of_devices_is_one_line_and_a_number_is_one(
    acme: Fleet, django_assert_max_num_queries: Any
) -> None:
    row = make_calls(acme, entered=300, left=40, number=200, size=260)
    client = acme.client()
    client.get("/queue/")

    with django_assert_max_num_queries(14):
        page = client.get("/queue/").content.decode()

    assert lines_of(page) == 2
    assert "300 devices entered, 40 devices left “Cold”" in page
    assert "and more" in page
    assert "“Cold” reached 200 devices: 260 match" in page
    assert f"/cohorts/{row.public_id}/calls/" in page


def test_the_queue_is_the_first_page(acme: Fleet) -> None:
    answer = acme.client().get("/")

    assert answer["Location"] == "/queue/"


def test_a_group_is_claimed_and_closed_but_not_what_came_later_or_is_anothers(
    acme: Fleet,
) -> None:
    row = make_calls(acme, entered=4)
    path, first, second = (
        f"/cohorts/{row.public_id}/calls/",
        *map(acme.client, (Role.OPERATOR, Role.OPERATOR)),
    )
    until = until_of(second.get("/queue/").content.decode())
    taken = CohortCall.objects.get(uid="d-0")
    first.post(f"/queue/{taken.public_id}/claim/")
    CohortCall.objects.filter(uid="d-3").update(opened_at=timezone.now())

    claimed = second.post(path, {"action": "claim", "until": until}, follow=True)
    mine = second.get("/queue/?view=mine").content.decode()
    closed = second.post(path, {"action": "close", "until": until}, follow=True)
    beaten = second.post(f"/queue/{taken.public_id}/close/", follow=True)

    assert "2 items of “Cold” claimed." in claimed.content.decode()
    assert "2 devices entered “Cold”" in mine
    assert "2 items of “Cold” closed." in closed.content.decode()
    assert "has claimed it." in beaten.content.decode()
    assert CohortCall.objects.filter(closed_at=None).count() == 2
    second.post(f"/queue/{taken.public_id}/release/", {"from_cohort": row.public_id})
    second.post(path, {"action": "close", "from_cohort": row.public_id})
    page = second.get("/queue/").content.decode()
    assert "Nothing needs you now" in page
    assert "closed" in second.get(path).content.decode()


def test_a_viewer_sees_the_queue_and_can_do_nothing(acme: Fleet) -> None:
    make_calls(acme, entered=2, number=1, size=2)

    page = acme.client(Role.VIEWER).get("/queue/").content.decode()

    assert lines_of(page) == 2
    assert "<button" not in page.split("<main")[1].split("</main>")[0]


def test_a_limited_member_sees_and_closes_their_own_devices_only(acme: Fleet) -> None:
    row = make_calls(acme, entered=3, number=1, size=3)
    CohortCall.objects.filter(uid="d-0").update(device=acme.devices[-1])
    member = MembershipFactory.create(tenant=acme.tenant, role=Role.OPERATOR)
    MembershipLimit.objects.create(
        membership=member, tenant=acme.tenant, site=acme.devices[-1].site
    )
    client = acme.client(None)
    client.force_login(member.user)

    page = client.get("/queue/").content.decode()
    client.post(f"/cohorts/{row.public_id}/calls/", {"action": "close"})

    assert "1 device entered “Cold”" in page
    assert lines_of(page) == 1
    closed = CohortCall.objects.exclude(closed_at=None)
    assert [call.uid for call in closed] == ["d-0"]
