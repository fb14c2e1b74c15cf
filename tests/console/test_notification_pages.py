"""Rules by the pages of the console, tests of rules, and the delivery log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from console.models import Notification, NotificationRule
from console.services.webhooks.edit import create_webhook
from registry.choices import Role
from registry.models import Tenant
from tests.console.incidents import make_incident
from tests.console.mail_server import MailServer, receiving_mail
from tests.console.notifications import (
    MAIL,
    RULES,
    make_rule,
    manager_of,
    send_all,
    use_mail_server,
)
from tests.factories import MembershipFactory, SiteFactory, TenantFactory

pytestmark = pytest.mark.django_db
PAGE = "/notification-rules/"
ROOM = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/"


@pytest.fixture
def tenant(db: None) -> Tenant:
    made: Tenant = TenantFactory.create(slug="acme")
    return made


@pytest.fixture
def mailbox(settings: Any) -> Iterator[MailServer]:
    with receiving_mail() as server:
        use_mail_server(settings, server)
        yield server


@pytest.fixture
def browser(tenant: Tenant) -> Client:
    client = Client()
    member = MembershipFactory.create(tenant=tenant, role=Role.MANAGER)
    client.force_login(member.user)
    return client


def given(**more: Any) -> dict[str, Any]:
    """Return what a person fills in."""
    plain = {"name": "On call", "severity": "warning", "digest_minutes": "0"}
    target = {"kind_1": "mail", "whom_1": "us@example.com", "is_enabled": "on"}
    return plain | target | more


def test_a_test_goes_to_each_target_at_once(
    tenant: Tenant, mailbox: MailServer
) -> None:
    night = [{"from": "00:00", "to": "23:59"}]
    second = {"kind": "mail", "address": "second@example.com"}
    rule = make_rule(
        tenant, MAIL, second, quiet_hours=night, digest_minutes=60, enabled=False
    )

    answer = manager_of(tenant).post(f"{RULES}{rule.public_id}/test/")

    assert answer.status_code == 202, answer.content
    rows = answer.json()["notifications"]
    assert [row["target"] for row in rows] == ["us@example.com", "second@example.com"]
    assert {row["type"] for row in rows} == {"test.sent"}
    send_all()
    assert mailbox.subjects == ["[acme] This is a test."] * 2
    assert not Notification.objects.exclude(status="delivered").exists()


def test_only_managers_test_a_rule(tenant: Tenant) -> None:
    rule = make_rule(tenant)
    url = f"{RULES}{rule.public_id}/test/"

    for role in (Role.VIEWER, Role.OPERATOR):
        member = MembershipFactory.create(tenant=tenant, role=role)
        client = Client()
        client.force_login(member.user)
        assert client.post(url).status_code == 403
    assert manager_of(TenantFactory.create()).post(url).status_code == 404
    assert not Notification.objects.exists()


def test_a_rule_is_made_and_changed_in_the_console(
    tenant: Tenant, browser: Client
) -> None:
    SiteFactory.create(tenant=tenant, slug="north")
    create_webhook(
        tenant=tenant,
        actor=None,
        name="Tickets",
        url="https://93.184.215.14/",
        events=["*"],
    )
    wanted = given(
        sites="north, ",
        causes=["site"],
        quiet_from="22:00",
        quiet_to="06:00",
        quiet_days=["sat"],
        time_zone="Europe/Berlin",
        escalate_after_minutes="15",
        kind_2="chat",
        whom_2=ROOM,
        kind_3="webhook",
        whom_3="Tickets",
    )

    assert browser.post(f"{PAGE}new/", wanted).status_code == 302

    row = NotificationRule.objects.get()
    assert [each["name"] for each in row.targets] == [
        *("us@example.com", "Slack", "Tickets")
    ]
    assert (row.sites, row.causes, row.escalate_after_minutes) == (
        *(["north"], ["site"], 15),
    )
    assert row.quiet_hours == [{"days": ["sat"], "from": "22:00", "to": "06:00"}]
    one = f"{PAGE}{row.public_id}/"
    shown = browser.get(one).content.decode()
    assert "Slack: empty keeps its address." in shown
    assert "TIiajk" not in shown
    secret = row.targets[1]["secret"]
    changed = wanted | {"whom_2": "", "name": "Night shift", "quiet_from": ""}
    assert browser.post(one, changed | {"quiet_to": ""}).status_code == 302
    row.refresh_from_db()
    assert (row.name, row.quiet_hours) == ("Night shift", [])
    assert row.targets[1]["secret"] == secret
    assert "Night shift" in browser.get(PAGE).content.decode()


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"name": ""}, "name"),
        ({"whom_1": "us"}, "whom_1"),
        ({"kind_1": "", "whom_1": ""}, "kind_1"),
        ({"kind_2": "chat", "whom_2": "ntfys://10.0.0.1/x"}, "whom_2"),
        ({"sites": "nowhere"}, "sites"),
        ({"time_zone": "Mars/Base"}, "time_zone"),
        ({"quiet_from": "22:00"}, "quiet_to"),
        ({"quiet_from": "00:00", "quiet_to": "00:00"}, "quiet_from"),
        ({"escalate_after_minutes": "0"}, "escalate_after_minutes"),
    ],
)
def test_a_wrong_value_is_shown_at_its_field(
    browser: Client, more: dict[str, Any], field: str
) -> None:
    answer = browser.post(f"{PAGE}new/", given(**more))

    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == [field]
    assert not NotificationRule.objects.exists()


def test_a_rule_with_several_quiet_hours_keeps_them(
    tenant: Tenant, browser: Client
) -> None:
    hours = [{"from": "22:00", "to": "06:00"}, {"from": "12:00", "to": "13:00"}]
    row = make_rule(tenant, quiet_hours=hours)
    kept = row.quiet_hours

    assert browser.post(f"{PAGE}{row.public_id}/", given()).status_code == 302

    row.refresh_from_db()
    assert row.quiet_hours == kept


def test_the_page_tests_and_deletes_a_rule_and_shows_what_was_sent(
    tenant: Tenant, browser: Client, mailbox: MailServer
) -> None:
    row = make_rule(tenant)
    make_incident(tenant, title="Site north is out")
    one = f"{PAGE}{row.public_id}/"
    assert browser.post(f"{one}test/").status_code == 302
    send_all()

    shown = browser.get(PAGE).content.decode()

    assert len(mailbox.mails) == 2
    assert "#1 Site north is out" in shown
    assert "test.sent" in shown
    log = Notification.objects.order_by("pk")[0]
    again = browser.post(f"/notifications/{log.public_id}/replay/")
    assert again["Location"] == PAGE
    send_all()
    assert len(mailbox.mails) == 3
    assert browser.post(f"{one}delete/").status_code == 302
    assert not NotificationRule.objects.exists()
