"""Incidents are told by real mail, chat and webhooks: once, in order, and safely."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from console.models import IncidentMember, Notification, OutgoingEvent, WebhookHost
from console.services.notifications import send
from console.services.webhooks.edit import create_webhook
from console.tasks import keep_history, plan_notifications, send_notifications
from registry.models import Tenant
from tests.commands.units import now
from tests.console.incidents import make_incident
from tests.console.mail_server import MailServer, receiving_mail
from tests.console.notifications import (
    LOG,
    MAIL,
    make_rule,
    manager_of,
    plan,
    send_all,
    use_mail_server,
)
from tests.console.receiver import Authority, Receiver, make_authority, receiving
from tests.factories import (
    DeviceFactory,
    MembershipFactory,
    SiteFactory,
    TenantFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant(db: None) -> Tenant:
    made: Tenant = TenantFactory.create(slug="acme")
    return made


@pytest.fixture
def mailbox(settings: Any) -> Iterator[MailServer]:
    with receiving_mail() as server:
        use_mail_server(settings, server)
        yield server


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def receiver(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, db: None
) -> Iterator[Receiver]:
    """A receiver on the loopback, which a superuser has listed."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.ca_file))
    with receiving(authority) as receiver:
        receiver.answer = lambda _: (200, {})
        WebhookHost.objects.create(host=receiver.host)
        yield receiver


def test_an_incident_is_mailed_once(tenant: Tenant, mailbox: MailServer) -> None:
    rule = make_rule(tenant)
    incident = make_incident(tenant, severity="critical", title="Gateway\ng-1 is lost")

    assert plan_notifications() == 1
    assert plan_notifications() == 0
    assert send_notifications() == 1
    assert send_notifications() == 0

    (mail,) = mailbox.mails
    event = OutgoingEvent.objects.get()
    assert mail["Subject"] == "[acme] critical: #1 Gateway g-1 is lost"
    assert mail["To"] == "us@example.com"
    assert mail["Message-ID"].startswith(f"<{event.public_id}@")
    assert "Notification rule: On call" in mail.get_content()
    (row,) = manager_of(tenant).get(LOG).json()["results"]
    assert (row["channel"], row["target"]) == ("mail", "us@example.com")
    assert (row["status"], row["attempts"], row["error"]) == ("delivered", 1, "")
    assert row["rule"] == str(rule.public_id)
    assert (row["incident"], row["step"]) == (str(incident.public_id), 1)


def test_a_person_is_mailed_at_the_address_of_today(
    tenant: Tenant, mailbox: MailServer
) -> None:
    anna = UserFactory.create(username="anna", email="old@example.com")
    member = MembershipFactory.create(tenant=tenant, user=anna)
    make_rule(tenant, {"kind": "user", "user": "anna"})
    make_incident(tenant)
    plan()
    anna.email = "new@example.com"
    anna.save()
    send_all()
    assert [mail["To"] for mail in mailbox.mails] == ["new@example.com"]

    member.delete()
    make_incident(tenant, object_id="dev-2")
    send_all()

    assert len(mailbox.mails) == 1
    row = Notification.objects.order_by("pk")[1]
    assert (row.status, row.target) == ("failed", "anna")
    assert row.error.startswith("no member of the whole tenant")


@pytest.mark.parametrize(
    ("rule", "incident", "is_told"),
    [
        ({"severity": "critical"}, {"severity": "warning"}, False),
        ({"severity": "warning"}, {"severity": "critical"}, True),
        ({"severity": "warning"}, {"severity": "info"}, False),
        ({"causes": ["site", "device"]}, {}, True),
        ({"causes": ["site"]}, {}, False),
        ({"sites": ["north"]}, {}, True),
        ({"sites": ["south"]}, {}, False),
        ({"sites": ["south"]}, {"object_kind": "site", "object_id": "south"}, True),
        ({"enabled": False}, {}, False),
        ({}, {"acknowledged_at": timezone.now()}, False),
        ({}, {"status": "resolved", "resolved_at": timezone.now()}, False),
    ],
)
def test_only_open_incidents_that_match_are_told(
    tenant: Tenant, rule: dict[str, Any], incident: dict[str, Any], is_told: bool
) -> None:
    site = SiteFactory.create(tenant=tenant, slug="north")
    SiteFactory.create(tenant=tenant, slug="south")
    row = make_incident(tenant, **incident)
    device = DeviceFactory.create(tenant=tenant, site=site)
    IncidentMember.objects.create(
        tenant=tenant, incident=row, device=device, since=now()
    )
    make_rule(tenant, **rule)
    make_incident(TenantFactory.create())

    assert plan() == int(is_told)


def test_an_incident_that_grows_worse_is_told_then(tenant: Tenant) -> None:
    make_rule(tenant, severity="critical")
    incident = make_incident(tenant, severity="warning")
    assert plan() == 0

    incident.severity = "critical"
    incident.save()

    assert plan() == 1


def test_a_mail_server_that_is_dead_for_an_hour_gets_all_once_and_in_order(
    tenant: Tenant, settings: Any
) -> None:
    with receiving_mail() as gone:
        port = gone.port
        use_mail_server(settings, gone)
    make_rule(tenant)
    for minute in range(0, 61, 15):
        make_incident(tenant, object_id=f"dev-{minute}")
        send_all(after=60 * minute)
    dead = Notification.objects.filter(status="pending")
    assert dead.count() == 5
    assert sum(row.attempts for row in dead.all()) <= 8
    assert dead.order_by("pk")[0].error.startswith("no connection")

    with receiving_mail(port=port) as back:
        send_all(after=3 * 3_600)
        send_all(after=6 * 3_600)

    assert [subject.split()[2] for subject in back.subjects] == [
        *("#1", "#2", "#3", "#4", "#5")
    ]
    assert not dead.all().exists()


def test_a_refused_recipient_is_tried_again_and_the_log_says_why(
    tenant: Tenant, mailbox: MailServer
) -> None:
    mailbox.answer = "550 no such mailbox"
    make_rule(tenant)
    make_incident(tenant)

    send_all()

    row = Notification.objects.get()
    assert (row.status, row.response_status) == ("pending", 550)
    assert row.error == "the mail server answered 550"
    mailbox.answer = "250 OK"
    send_all(after=10)
    assert len(mailbox.mails) == 1


def test_without_a_mail_server_the_log_says_so(tenant: Tenant, settings: Any) -> None:
    settings.EMAIL_URL = ""
    make_rule(tenant)
    make_incident(tenant)

    send_all()

    row = Notification.objects.get()
    assert (row.status, row.error) == ("pending", "no mail server is set (EMAIL_URL)")


def test_a_worker_that_dies_after_a_mail_repeats_it_with_the_same_id(
    tenant: Tenant, mailbox: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_rule(tenant)
    make_incident(tenant)

    def die(*args: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as dying:
        dying.setattr(send, "_record", die)
        with pytest.raises(SystemExit):
            send_all()
    send_all(after=30)
    assert len(mailbox.mails) == 1  # the lease of the dead one is not over
    send_all(after=100)
    send_all(after=200)

    first, again = mailbox.mails
    assert first["Message-ID"] == again["Message-ID"]


def test_more_than_ten_a_minute_become_a_digest(
    tenant: Tenant, mailbox: MailServer
) -> None:
    make_rule(tenant)
    for number in range(8):
        make_incident(tenant, object_id=f"dev-{number}")
    send_all()
    assert len(mailbox.mails) == 8
    for number in range(8, 16):
        make_incident(tenant, object_id=f"dev-{number}")
    send_all(after=1)
    assert mailbox.subjects[8:] == ["[acme] 8 notifications"]
    for number in range(16, 18):
        make_incident(tenant, object_id=f"dev-{number}")

    send_all(after=2)
    assert len(mailbox.mails) == 9
    send_all(after=130)

    assert len(mailbox.mails) == 11
    assert not Notification.objects.exclude(status="delivered").exists()


def test_a_chat_room_is_told_and_its_address_stays_secret(
    tenant: Tenant, receiver: Receiver
) -> None:
    url = f"ntfys://:sesame@{receiver.host}/our-topic"
    make_rule(tenant, {"kind": "chat", "url": url})
    make_incident(tenant, title="dev-1 says @everyone <!channel>")

    send_all()

    (request,) = receiver.requests
    text = request.body.decode()
    assert "our-topic" in text or "our-topic" in request.path
    assert "#1 dev-1 says" in text
    assert "@everyone" not in text
    assert "<!channel>" not in text
    answer = manager_of(tenant).get(LOG)
    (row,) = answer.json()["results"]
    assert (row["channel"], row["target"], row["status"]) == (
        *("chat", "ntfy", "delivered"),
    )
    assert b"sesame" not in answer.content
    assert b"our-topic" not in answer.content


def test_a_chat_server_that_fails_is_tried_again_and_no_redirect_is_followed(
    tenant: Tenant, receiver: Receiver
) -> None:
    make_rule(tenant, {"kind": "chat", "url": f"ntfys://{receiver.host}/topic"})
    make_incident(tenant)
    receiver.answer = lambda r: (307, {"Location": f"https://{receiver.host}/other"})
    send_all()
    assert len(receiver.requests) == 1
    assert Notification.objects.get().error == "ntfy did not take it"

    receiver.answer = lambda r: (200, {})
    send_all(after=10)

    row = Notification.objects.get()
    assert (row.status, row.attempts) == ("delivered", 2)


def test_a_rule_tells_a_webhook_that_has_not_subscribed(
    tenant: Tenant, receiver: Receiver
) -> None:
    hook, secret = create_webhook(
        tenant=tenant, actor=None, name="Ours", url=receiver.url, events=["jobs"]
    )
    rule = make_rule(tenant, {"kind": "webhook", "webhook": str(hook.public_id)})
    incident = make_incident(tenant)

    send_all()
    send_all(after=60)

    (request,) = receiver.requests
    assert request.is_signed_with(secret)
    assert request.event["type"] == "incident.notified"
    assert request.event["subject"] == str(incident.public_id)
    assert request.event["data"]["rule"] == rule.name
    (row,) = manager_of(tenant).get(LOG).json()["results"]
    assert (row["webhook"], row["status"]) == (str(hook.public_id), "delivered")


def test_planning_takes_as_many_queries_for_many_incidents_as_for_one(
    tenant: Tenant,
) -> None:
    make_rule(tenant, sites=[], quiet_hours=[{"from": "22:00", "to": "06:00"}])
    make_rule(tenant, name="Digest", digest_minutes=5)
    make_incident(tenant)
    with CaptureQueriesContext(connection) as one:
        assert plan() == 2
    for number in range(2, 22):
        make_incident(tenant, object_id=f"dev-{number}")

    with CaptureQueriesContext(connection) as many:
        assert plan() == 40

    assert len(many) == len(one)


def test_old_messages_are_deleted_but_an_open_incident_is_not_told_again(
    tenant: Tenant, mailbox: MailServer
) -> None:
    make_rule(tenant)
    open_one = make_incident(tenant)
    ended = make_incident(tenant, object_id="dev-2")
    send_all()
    ended.status, ended.resolved_at = "resolved", now()
    ended.save()
    OutgoingEvent.objects.update(written_at=now() - timedelta(days=31))

    keep_history()

    assert [row.incident for row in Notification.objects.all()] == [open_one]
    assert plan() == 0


def test_a_target_that_is_given_again_keeps_what_waits_for_it(
    tenant: Tenant, mailbox: MailServer
) -> None:
    rule = make_rule(tenant)
    make_incident(tenant)
    plan()
    body = {"targets": [{"kind": "mail", "address": "x@example.com"}, MAIL]}
    url = f"/api/v1/notification-rules/{rule.public_id}/"

    assert manager_of(tenant).patch(url, body, format="json").status_code == 200
    send_all()

    assert [mail["To"] for mail in mailbox.mails] == ["us@example.com"]
