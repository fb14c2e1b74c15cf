"""Sign-in, alarms, cohorts, the platform page, the trust strip, and error pages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from fleet.models import Cohort
from registry.choices import Role
from state.models import ListeningSlot
from state.services.dead_letters import DeadLetterDraft, record_dead_letters
from tests.console.conftest import Fleet
from tests.factories import MembershipFactory, UserFactory
from tests.fleet.rows import make_alarm

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


def listen(*, seconds_behind: float = 0) -> None:
    """A bridge reads the one slot, or has not for a while."""
    at = timezone.now() - timedelta(seconds=seconds_behind)
    values = {"owner": "bridge", "beat_at": at, "caught_up_at": at}
    ListeningSlot.objects.update_or_create(slot=1, defaults=values)


def test_a_name_with_an_at_signs_in_and_out(acme: Fleet, client: Client) -> None:
    UserFactory.create(username="operator@acme", password="demo")

    page = client.get("/accounts/login/").content.decode()
    answer = client.post(
        "/accounts/login/?next=/jobs/", {"login": "operator@acme", "password": "demo"}
    )
    out = client.post("/accounts/logout/")

    assert 'autocomplete="username"' in page
    assert answer["Location"] in ("/jobs/", "/")
    assert out.status_code == 302
    assert client.get("/fleet/").status_code == 302


def test_a_wrong_password_is_said_and_ten_of_them_lock(client: Client) -> None:
    UserFactory.create(username="operator@acme", password="demo")
    form = {"login": "operator@acme", "password": "guess"}

    first = client.post("/accounts/login/", form)
    for _ in range(9):
        client.post("/accounts/login/", form)
    locked = client.post("/accounts/login/", form | {"password": "demo"})

    assert first.status_code == 200
    assert 'role="alert"' in first.content.decode()
    assert locked.status_code == 429
    assert "Too many failed tries" in locked.content.decode()


def test_nobody_signs_up(client: Client) -> None:
    answer = client.get("/accounts/signup/", follow=True)

    assert "Accounts are made for you" in answer.content.decode()


def test_an_alarm_is_acknowledged_once_and_names_who_did(acme: Fleet) -> None:
    alarm = make_alarm(acme.devices[0], code="overheat")
    client = acme.client()
    path = f"/alarms/{alarm.public_id}/acknowledge/"

    before = client.get("/alarms/").content.decode()
    row = client.post(path, headers=HTMX)

    assert "1 alarm was not seen by anybody" in before
    assert row.status_code == 200
    assert "acknowledged" in row.content.decode()
    assert "<html" not in row.content.decode()
    assert "Every open alarm has been seen" in client.get("/alarms/").content.decode()


def test_a_cleared_alarm_is_not_acknowledged(acme: Fleet) -> None:
    alarm = make_alarm(acme.devices[0], state="cleared", cleared_at=timezone.now())

    answer = acme.client().post(f"/alarms/{alarm.public_id}/acknowledge/", headers=HTMX)

    assert answer.status_code == 409
    assert "The alarm is cleared" in answer.content.decode()


def test_a_cohort_is_saved_listed_and_opened(acme: Fleet) -> None:
    client = acme.client()

    saved = client.post(
        "/cohorts/", {"name": "unstable", "q": "disconnects_72h:>=5"}, follow=True
    )
    listed = client.get("/cohorts/").content.decode()

    page = saved.content.decode()
    assert "unstable" in page
    assert "3 devices" in page
    assert "Send to 3 devices …" in page
    assert "disconnects_72h:&gt;=5" in listed


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"name": "", "q": "*"}, "1 to 200 characters."),
        ({"name": "x", "q": "firmwar:1"}, "There is no field"),
        ({"name": "taken", "q": "*"}, "There is a cohort of this name."),
    ],
)
def test_a_cohort_that_cannot_be_saved_is_refused_with_the_reason(
    acme: Fleet, form: dict[str, str], said: str
) -> None:
    Cohort.objects.create(tenant=acme.tenant, name="taken", query="*")

    answer = acme.client().post("/cohorts/", form)

    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert Cohort.objects.count() == 1


def test_a_person_of_two_tenants_is_asked_where_a_cohort_belongs(acme: Fleet) -> None:
    person = acme.person(Role.OPERATOR)
    MembershipFactory.create(user=person, role=Role.OPERATOR)
    client = Client()
    client.force_login(person)

    answer = client.post("/cohorts/", {"name": "whose", "q": "*"})

    assert answer.status_code == 422
    assert "Choose the tenant to save it in." in answer.content.decode()
    assert not Cohort.objects.exists()


def test_the_platform_page_tells_dead_letters_by_reason(
    acme: Fleet, admin: Client
) -> None:
    draft = DeadLetterDraft(
        topic="iot/v1/ghost/heartbeat",
        adapter="mqtt",
        reason="unknown_device",
        detail="There is no device ghost.",
        uid="ghost",
    )
    record_dead_letters([draft, draft], now=timezone.now())
    listen()

    text = admin.get("/platform/").content.decode()

    assert "The platform listens, and keeps up" in text
    assert "names a device that we do not know" in text
    assert "There is no device ghost." in text
    assert acme.client(Role.ADMIN).get("/platform/").status_code == 403


def test_the_trust_strip_turns_and_says_what_may_be_wrong(acme: Fleet) -> None:
    client = acme.client()

    never = client.get("/trust/").content.decode()
    listen()
    well = client.get("/trust/")
    still_well = client.get("/trust/", headers={"If-None-Match": well["ETag"]})
    listen(seconds_behind=60)
    blind = client.get("/fleet/").content.decode()

    assert "Not listening" in never
    assert "We are not listening to every device" not in well.content.decode()
    assert still_well.status_code in (200, 304)  # lags move on by themselves
    assert "We are not listening to every device" in blind


def test_error_pages_keep_the_frame_for_who_is_signed_in(
    acme: Fleet, client: Client
) -> None:
    ours = acme.client().get("/devices/nobody/")
    strangers = client.get("/nothing/here/")

    assert ours.status_code == strangers.status_code == 404
    assert 'aria-label="Console"' in ours.content.decode()
    assert "There is nothing here for you" in strangers.content.decode()
    assert 'aria-label="Console"' not in strangers.content.decode()


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("/fleet/", 14),
        ("/commands/", 10),
        ("/jobs/", 14),
        ("/alarms/", 12),
        ("/cohorts/", 14),
    ],
)
def test_a_list_asks_no_more_for_more_rows(
    acme: Fleet, django_assert_max_num_queries: Any, path: str, most: int
) -> None:
    for number in range(12):
        device = acme.add(f"more-{number:02}")
        make_alarm(device)
        acme.command(device)
    acme.settle()
    client = acme.client()
    client.get(path)

    with django_assert_max_num_queries(most):
        answer = client.get(path)

    assert answer.status_code == 200
