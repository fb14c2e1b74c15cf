"""The pages of cohorts: owner, description, change, delete, and what is not known."""

from __future__ import annotations

import itertools
import re
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from django.test import Client
from django.utils import timezone

from fleet.models import Cohort, CohortSize
from registry.choices import Role
from state.models import Presence
from tests.console.conftest import Fleet
from tests.factories import UserFactory
from tests.fleet.rows import make_presence

pytestmark = pytest.mark.django_db
SHARED = 'region:"East China" AND firmware:1.4.* AND disconnects_72h:>=5'


def make_cohort(fleet: Fleet, **values: Any) -> Cohort:
    return Cohort.objects.create(
        tenant=fleet.tenant, **({"name": "unstable", "query": SHARED} | values)
    )


def test_an_operator_renames_describes_and_hands_over_a_cohort(acme: Fleet) -> None:
    row = make_cohort(acme)
    heir = acme.person(Role.VIEWER)
    client = acme.client()
    shown = client.get(f"/cohorts/{row.public_id}/change/")
    form = {
        "name": "Shaky",
        "q": "disconnects_72h:>=9",
        "owner": heir.username,
        "description": "Call the site.",
    }

    changed = client.post(f"/cohorts/{row.public_id}/change/", form, follow=True)
    listed = client.get("/cohorts/").content.decode()

    assert shown.context["form"]["q"].value() == SHARED
    page = changed.content.decode()
    assert "The cohort “Shaky” is changed." in page
    for text in ("Call the site.", f"owner {heir.username}", "0 devices"):
        assert text in page
    assert "Call the site." in listed
    assert heir.username in listed


@pytest.mark.parametrize(
    ("given", "field", "expected"),
    [
        ({"name": "taken"}, "name", "A cohort with this name already exists."),
        ({"q": "firmwar:1"}, "q", "There is no field"),
        ({"owner": "nobody"}, "owner", "acme has no member"),
    ],
)
def test_a_wrong_change_is_shown_at_its_field_and_keeps_what_was_typed(
    acme: Fleet, given: dict[str, str], field: str, expected: str
) -> None:
    make_cohort(acme, name="taken")
    row = make_cohort(acme)
    form = {"name": "kept", "q": "*", "description": "typed"} | given

    answer = acme.client().post(f"/cohorts/{row.public_id}/change/", form)

    assert answer.status_code == 422
    assert expected in answer.context["form"].errors[field][0]
    assert "typed" in answer.content.decode()
    row.refresh_from_db()
    assert row.name == "unstable"


def test_a_cohort_is_deleted_from_its_page_by_who_may_operate(acme: Fleet) -> None:
    row = make_cohort(acme)
    viewer, path = acme.client(Role.VIEWER), f"/cohorts/{row.public_id}"

    assert f"{path}/change/" not in viewer.get(f"{path}/").content.decode()
    assert viewer.get(f"{path}/change/").status_code == 403
    assert viewer.post(f"{path}/delete/").status_code == 403
    answer = acme.client().post(f"{path}/delete/", follow=True)

    assert "The cohort “unstable” is deleted." in answer.content.decode()
    assert not Cohort.objects.exists()


def test_a_missing_index_is_not_called_an_invalid_query(
    acme: Fleet, settings: Any, tmp_path: Any
) -> None:
    good, wrong = make_cohort(acme), make_cohort(acme, name="old", query="nothing:x")
    client = acme.client()
    invalid = client.get(f"/cohorts/{wrong.public_id}/").content.decode()
    settings.INDEX_DIR = tmp_path / "nowhere"

    page = client.get(f"/cohorts/{good.public_id}/")
    listed = client.get("/cohorts/").content.decode()
    # The way to a job says the same, and leads back to the cohort.
    wizard = client.get("/jobs/new/", {"cohort": str(good.public_id)}, follow=True)
    search = client.get("/fleet/", {"q": SHARED})

    assert "is not valid" in invalid
    assert "cannot be searched or counted" not in invalid
    for answer in (page, wizard):
        text = answer.content.decode()
        assert answer.status_code == 200
        assert "cannot be searched or counted now" in text
        assert "not valid" not in text
        assert "disconnects_72h" in text
    assert "cannot be searched or counted now" in listed
    assert "There is no field" in listed  # that query is wrong with or without an index
    assert search.status_code == 503
    assert SHARED in unescape(search.content.decode())


def test_a_query_that_cannot_be_saved_leads_back_to_its_search(acme: Fleet) -> None:
    answer = acme.client().post("/cohorts/", {"name": "", "q": SHARED})

    back = re.search(r'href="(/fleet/[^"]+)"[^>]*>Back', answer.content.decode())
    assert back is not None
    assert parse_qs(urlsplit(unescape(back[1])).query)["q"] == [SHARED]


@pytest.mark.parametrize(
    ("query", "status", "says"),
    [(SHARED, 200, "3 devices"), ('name:"a & b#c" AND gone:1', 400, "is not valid")],
)
def test_a_shared_link_keeps_its_query_through_the_sign_in(
    acme: Fleet, settings: Any, query: str, status: int, says: str
) -> None:
    settings.OIDC_SERVER_URL = "https://id.example.com"
    settings.OIDC_CLIENT_ID = settings.OIDC_CLIENT_SECRET = "x"
    person = acme.person(Role.VIEWER)
    user = UserFactory._meta.model.objects.get(pk=person.pk)
    user.set_password("demo")
    user.save()
    client = Client()

    sent_away = client.get(f"/fleet/?q={quote(query)}")
    gate = client.get(sent_away["Location"]).content.decode()
    [kept] = re.findall(r'name="next" value="([^"]+)"', gate)
    form = {"login": user.username, "password": "demo", "next": unescape(kept)}
    answer = client.post("/accounts/login/", form, follow=True)

    assert answer.status_code == status
    assert answer.context["q"] == query
    page = unescape(answer.content.decode())
    assert f'value="{query}"' in page
    assert says in page
    # The button of the identity provider leads back to the same page.
    [action] = re.findall(r'action="(/accounts/oidc/login/[^"]*)"', gate)
    assert parse_qs(urlsplit(unescape(action)).query)["next"] == [unescape(kept)]


def test_snapshots_of_a_cohort_are_taken_and_compared(acme: Fleet) -> None:
    row = make_cohort(acme, query="connectivity:online")
    path, client = f"/cohorts/{row.public_id}/snapshots/", acme.client()
    client.post(path)
    make_presence(acme.add("new-1"))
    Presence.objects.filter(device__uid="sh-1").update(connectivity="offline")
    acme.settle()

    taken = client.post(path, follow=True)
    ids = [snapshot.public_id for snapshot in taken.context["snapshots"]]
    page = client.get(path, {"from": ids[1], "to": ids[0]})
    shown = client.get(f"/cohorts/{row.public_id}/").content.decode()

    assert "The snapshot has 3 devices." in taken.content.decode()
    compared = page.context["compared"]
    assert (compared["gone"], compared["added"]) == (["sh-1"], ["new-1"])
    assert "1 left, 1 joined, 2 stayed" in page.content.decode()
    assert str(ids[1]) in shown
    assert acme.client(Role.VIEWER).post(path).status_code == 403


def test_the_size_over_time_is_a_chart_with_a_table_and_gaps(acme: Fleet) -> None:
    row = make_cohort(acme)
    now = timezone.now()
    for hours, size in ((6, 4), (5, 5), (1, 7)):
        CohortSize.objects.create(
            tenant=acme.tenant, cohort=row, at=now - timedelta(hours=hours), size=size
        )
    client = acme.client()

    page = client.get(f"/cohorts/{row.public_id}/", {"window": "24h"})
    other = client.get(f"/cohorts/{row.public_id}/", {"window": "nonsense"})

    points = page.context["chart"]["points"]
    assert [point["size"] for point in points] == [4, 5, 7]
    # Old sizes are an hour apart, so the line breaks before the last one only.
    apart = [b["at"] - a["at"] for a, b in itertools.pairwise(points)]
    holds = [timedelta(seconds=point["step"]) for point in points[:2]]
    assert [gap > hold for gap, hold in zip(apart, holds, strict=True)] == [False, True]
    assert "latest 7 devices, between 4 and 7" in page.content.decode()
    assert other.context["chart"]["label"] == "7 days"
