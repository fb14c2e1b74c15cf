"""Sign-in, alarms, cohorts, the platform page and status, and error pages."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client, RequestFactory
from django.utils import timezone

from console.paging import page_of
from fleet.models import Cohort
from registry.choices import Role
from state.models import ListeningSlot
from state.selectors.alarms import list_alarms, rank_by_severity
from state.services.dead_letters import DeadLetterDraft, record_dead_letters
from tests.console.conftest import Fleet
from tests.factories import MembershipFactory, UserFactory
from tests.fleet.rows import make_alarm, make_presence

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}


def listen(*, seconds_behind: float = 0) -> None:
    """A bridge reads the only slot, and is this far behind."""
    at = timezone.now() - timedelta(seconds=seconds_behind)
    values = {"owner": "bridge", "beat_at": at, "caught_up_at": at}
    ListeningSlot.objects.update_or_create(slot=1, defaults=values)


def test_a_name_with_an_at_sign_can_sign_in_and_out(
    acme: Fleet, client: Client
) -> None:
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


def test_a_wrong_password_is_reported_and_ten_of_them_lock_the_sign_in(
    client: Client,
) -> None:
    UserFactory.create(username="operator@acme", password="demo")
    form = {"login": "operator@acme", "password": "guess"}

    first = client.post("/accounts/login/", form)
    for _ in range(9):
        client.post("/accounts/login/", form)
    locked = client.post("/accounts/login/", form | {"password": "demo"})

    assert first.status_code == 200
    assert 'role="alert"' in first.content.decode()
    assert locked.status_code == 429
    assert "Too many failed sign-ins" in locked.content.decode()
    assert "for 15 minutes" in locked.content.decode()


def test_sign_up_is_closed(client: Client) -> None:
    answer = client.get("/accounts/signup/", follow=True)

    assert "Sign-up is closed" in answer.content.decode()


def test_an_acknowledged_alarm_names_the_person(acme: Fleet) -> None:
    alarm = make_alarm(acme.devices[0], code="overheat")
    client = acme.client()
    path = f"/alarms/{alarm.public_id}/acknowledge/"

    before = client.get("/alarms/").content.decode()
    row = client.post(path, headers=HTMX)

    assert "1 alarm is not acknowledged" in before
    assert row.status_code == 200
    assert "acknowledged" in row.content.decode()
    assert "<html" not in row.content.decode()
    assert "All open alarms are acknowledged" in client.get("/alarms/").content.decode()


def test_the_most_severe_alarms_come_first_with_site_and_message(acme: Fleet) -> None:
    device, other = acme.devices[1], acme.devices[2]
    for severity, code in (("critical", "a-1"), ("critical", "a-2"), ("info", "a-4")):
        make_alarm(device, code=code, severity=severity)
    make_alarm(other, code="a-3", severity="warning", message="29.5 °C at the door")
    client = acme.client()

    text = client.get("/alarms/").content.decode()

    order = ["a-2", "a-1", "a-3", "a-4"]
    assert sorted(order, key=lambda code: text.index(f">{code}<")) == order
    assert "29.5 °C at the door" in text
    assert "shanghai-01" in text


def test_pages_of_alarms_continue_by_severity(acme: Fleet, rf: RequestFactory) -> None:
    for number, severity in enumerate(("critical", "info", "warning", "critical")):
        make_alarm(acme.devices[0], code=f"a-{number}", severity=severity)
    alarms = rank_by_severity(list_alarms(tenants=[acme.tenant]))

    first = page_of(rf.get("/alarms/"), alarms, size=2, rank="rank")
    second = page_of(rf.get(f"/alarms/{first.next_url}"), alarms, size=2, rank="rank")

    codes = [row.code for page in (first, second) for row in page.rows]
    assert codes == ["a-3", "a-0", "a-2", "a-1"]


def test_a_device_that_never_connected_is_grey_and_not_offline(acme: Fleet) -> None:
    make_presence(acme.add("new-1"), connectivity="offline", cause="never_connected")
    acme.settle()
    client = acme.client()

    pages = [client.get(path) for path in ("/fleet/?q=uid:new-1", "/devices/new-1/")]

    for page in pages:
        text = page.content.decode()
        assert '<i class="shape"></i>never connected</span>' in text
        assert "chip plain" in text
        assert 'class="chip offline' not in text


def test_a_cleared_alarm_cannot_be_acknowledged(acme: Fleet) -> None:
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
    ("form", "expected"),
    [
        ({"name": "", "q": "*"}, "1 to 200 characters."),
        ({"name": "x", "q": "firmwar:1"}, "There is no field"),
        ({"name": "taken", "q": "*"}, "A cohort with this name already exists."),
    ],
)
def test_a_cohort_that_cannot_be_saved_is_refused_with_the_reason(
    acme: Fleet, form: dict[str, str], expected: str
) -> None:
    Cohort.objects.create(tenant=acme.tenant, name="taken", query="*")

    answer = acme.client().post("/cohorts/", form)

    assert answer.status_code == 422
    assert expected in answer.content.decode()
    assert Cohort.objects.count() == 1


def test_a_cohort_whose_query_is_no_longer_valid_says_so(acme: Fleet) -> None:
    row = Cohort.objects.create(tenant=acme.tenant, name="old", query="NOT attr.gone:x")
    client = acme.client()

    listed = client.get("/cohorts/")
    opened = client.get(f"/cohorts/{row.public_id}/")
    shared = client.get("/fleet/", {"q": row.query})

    assert (listed.status_code, opened.status_code) == (200, 200)
    assert shared.status_code == 400
    for answer in (listed, opened, shared):
        assert "No product declares &#x27;attr.gone&#x27;" in answer.content.decode()


def test_a_person_of_two_tenants_must_choose_the_tenant_of_a_cohort(
    acme: Fleet,
) -> None:
    person = acme.person(Role.OPERATOR)
    MembershipFactory.create(user=person, role=Role.OPERATOR)
    client = Client()
    client.force_login(person)

    answer = client.post("/cohorts/", {"name": "whose", "q": "*"})

    assert answer.status_code == 422
    assert "Choose the tenant for the cohort." in answer.content.decode()
    assert not Cohort.objects.exists()


def test_the_platform_page_shows_rejected_messages_by_reason(
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

    assert "The platform works normally" in text
    assert "The device is not registered." in text
    assert "There is no device ghost." in text
    assert acme.client(Role.ADMIN).get("/platform/").status_code == 403


def test_the_platform_status_warns_when_the_bridge_does_not_listen(acme: Fleet) -> None:
    client = acme.client()

    never = client.get("/trust/").content.decode()
    listen()
    well = client.get("/trust/")
    still_well = client.get("/trust/", headers={"If-None-Match": well["ETag"]})
    listen(seconds_behind=60)
    blind = client.get("/fleet/").content.decode()

    assert "Not listening" in never
    assert "does not receive messages from all devices" not in well.content.decode()
    assert still_well.status_code in (200, 304)  # the lags change by themselves
    assert "does not receive messages from all devices" in blind


def test_error_pages_keep_the_frame_for_signed_in_people(
    acme: Fleet, client: Client
) -> None:
    ours = acme.client().get("/devices/nobody/")
    strangers = client.get("/nothing/here/")

    assert ours.status_code == strangers.status_code == 404
    assert 'aria-label="Console"' in ours.content.decode()
    assert "Page not found" in strangers.content.decode()
    assert 'aria-label="Console"' not in strangers.content.decode()


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("/fleet/", 14),
        ("/commands/", 10),
        ("/jobs/", 14),
        ("/alarms/", 12),
        ("/cohorts/", 14),
        ("/queue/", 12),
    ],
)
def test_more_rows_of_a_list_need_no_more_queries(
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
