"""Events reach a real HTTPS receiver: signed, in order, and once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from rest_framework.test import APIClient

from console.models import Notification, OutgoingEvent, Webhook, WebhookHost
from console.services.webhooks import deliver
from console.services.webhooks.deliver import deliver_due_across_tenants
from console.services.webhooks.edit import create_webhook
from console.services.webhooks.spread import spread_events_across_tenants
from console.tasks import deliver_webhooks, spread_events
from registry.choices import Role
from registry.models import MembershipLimit, Tenant
from tests.commands.units import Unit, ask, now
from tests.console.receiver import (
    Authority,
    Received,
    Receiver,
    make_authority,
    receiving,
)
from tests.factories import DeviceFactory, MembershipFactory, TenantFactory

pytestmark = pytest.mark.django_db
API = "/api/v1/"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def receiver(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, db: None
) -> Iterator[Receiver]:
    """A receiver on the loopback, which a superuser has listed."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    with receiving(authority) as receiver:
        WebhookHost.objects.create(host=receiver.host)
        yield receiver


@pytest.fixture
def tenant(db: None) -> Tenant:
    made: Tenant = TenantFactory.create(slug="acme")
    return made


def client_of(tenant: Tenant, role: Role = Role.MANAGER, **limit: Any) -> APIClient:
    member = MembershipFactory.create(tenant=tenant, role=role)
    if limit:
        MembershipLimit.objects.create(membership=member, tenant=tenant, **limit)
    client = APIClient()
    client.force_authenticate(member.user)
    return client


def subscribe(tenant: Tenant, url: str, *events: str, name: str = "Ours") -> str:
    """Make a webhook; return its secret."""
    body = {"name": name, "url": url, "events": list(events) or ["*"]}
    answer = client_of(tenant).post(f"{API}webhooks/", body, format="json")
    assert answer.status_code == 201, answer.content
    return str(answer.json()["secret"])


def unit_of(tenant: Tenant, uid: str) -> Unit:
    return Unit(DeviceFactory.create(tenant=tenant, uid=uid))


def alarm(unit: Unit, state: str = "raised", code: str = "hot") -> None:
    unit.say("event", {"code": code, "severity": "critical", "state": state})


def deliver_all(after: float = 0) -> None:
    """Do what the sweeps do until nothing is due, so many seconds from now."""
    spread_events_across_tenants()
    at = now() + timedelta(seconds=after)
    while deliver_due_across_tenants(now=at):
        pass


def test_an_event_arrives_as_a_signed_cloud_event(
    tenant: Tenant, receiver: Receiver
) -> None:
    secret = subscribe(tenant, receiver.url, "alarms")
    unit = unit_of(tenant, "d-1")
    alarm(unit)

    assert spread_events() == 2  # it came online, too
    assert deliver_webhooks() == 1

    (request,) = receiver.requests
    event = request.event
    assert request.path == "/hook?from=tests"
    assert request.headers["content-type"].startswith("application/cloudevents+json")
    assert request.headers["host"] == receiver.host
    assert request.headers["webhook-id"] == event["id"]
    assert request.is_signed_with(secret)
    assert not request.is_signed_with("whsec_AAAA")
    assert (event["specversion"], event["type"]) == ("1.0", "alarm.raised")
    assert (event["subject"], event["tenant"]) == ("d-1", "acme")
    assert event["data"]["code"] == "hot"
    assert event["data"]["severity"] == "critical"
    (row,) = Notification.objects.all()
    assert (row.status, row.attempts, row.response_status) == ("delivered", 1, 204)


def test_commands_jobs_alarms_and_connectivity_are_events(
    tenant: Tenant, receiver: Receiver
) -> None:
    subscribe(tenant, receiver.url)
    unit = unit_of(tenant, "d-1")
    unit.come_online()
    alarm(unit)
    alarm(unit, "cleared")
    command = ask(unit)
    deliver_all()

    assert receiver.told == [
        ("d-1", "connectivity.online"),
        ("d-1", "alarm.raised"),
        ("d-1", "alarm.cleared"),
        ("d-1", "command.queued"),
    ]
    assert receiver.requests[-1].event["data"]["command"] == str(command.public_id)


def test_only_what_is_subscribed_and_ones_own_tenants_events_are_sent(
    tenant: Tenant, receiver: Receiver
) -> None:
    subscribe(tenant, receiver.url, "alarm.cleared", "connectivity")
    other = TenantFactory.create()
    for unit in (unit_of(tenant, "d-1"), unit_of(other, "o-1")):
        unit.come_online()
        alarm(unit)
        alarm(unit, "cleared")

    deliver_all()

    assert receiver.told == [("d-1", "connectivity.online"), ("d-1", "alarm.cleared")]
    assert not OutgoingEvent.objects.exclude(tenant=tenant).exists()


def test_what_is_rolled_back_is_no_event(tenant: Tenant, receiver: Receiver) -> None:
    subscribe(tenant, receiver.url)
    unit = unit_of(tenant, "d-1")

    with transaction.atomic():
        alarm(unit)
        transaction.set_rollback(True)

    assert not OutgoingEvent.objects.exists()


def test_later_events_of_a_device_wait_for_its_failed_one_and_no_others(
    tenant: Tenant, receiver: Receiver
) -> None:
    subscribe(tenant, receiver.url, "alarms")
    first, second = unit_of(tenant, "d-1"), unit_of(tenant, "d-2")
    receiver.answer = lambda r: (500 if r.event["subject"] == "d-1" else 200, {})
    for unit in (first, second):
        alarm(unit)
        alarm(unit, "cleared")

    deliver_all()
    failed, raised, cleared = "d-1", "alarm.raised", "alarm.cleared"
    assert sorted(receiver.told) == [
        (failed, raised),
        ("d-2", cleared),
        ("d-2", raised),
    ]
    receiver.answer = lambda r: (200, {})
    deliver_all(after=2)
    assert len(receiver.told) == 3
    deliver_all(after=10)

    told = [event for subject, event in receiver.told if subject == failed]
    assert told == [raised, raised, cleared]
    ids = [r.headers["webhook-id"] for r in receiver.requests]
    assert len(set(ids)) == 4
    first_row = Notification.objects.order_by("pk")[0]
    assert (first_row.status, first_row.attempts) == ("delivered", 2)


def test_a_target_that_is_dead_for_an_hour_gets_all_once_and_in_order(
    tenant: Tenant, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    with receiving(authority) as gone:
        port, url = gone.port, gone.url
        WebhookHost.objects.create(host=gone.host)
    subscribe(tenant, url, "alarms")
    units = [unit_of(tenant, f"d-{n}") for n in range(3)]
    for minute in range(0, 61, 15):
        for unit in units:
            alarm(unit, "raised" if minute % 2 == 0 else "cleared")
        deliver_all(after=60 * minute)
    dead = Notification.objects.filter(status="pending")
    assert 0 < dead.count() == Notification.objects.count()
    assert max(row.attempts for row in dead.all()) <= 5

    with receiving(authority, port=port) as back:
        deliver_all(after=3 * 3_600)

    assert not dead.all().exists()
    ids = [r.headers["webhook-id"] for r in back.requests]
    assert len(ids) == len(set(ids)) == Notification.objects.count()
    for unit in units:
        uid = unit.device.uid
        happened = OutgoingEvent.objects.filter(subject=uid, type__startswith="alarm.")
        types = list(happened.order_by("pk").values_list("type", flat=True))
        assert [kind for subject, kind in back.told if subject == uid] == types


def test_a_worker_that_dies_after_a_delivery_repeats_it_with_the_same_id(
    tenant: Tenant, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe(tenant, receiver.url, "alarms")
    alarm(unit_of(tenant, "d-1"))

    def die(*args: Any) -> None:
        raise SystemExit

    with monkeypatch.context() as dying:
        dying.setattr(deliver, "_record", die)
        with pytest.raises(SystemExit):
            deliver_all()
    deliver_all(after=30)
    assert len(receiver.requests) == 1  # the lease of the dead one is not over
    deliver_all(after=100)
    deliver_all(after=200)

    first, again = receiver.requests
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert first.body == again.body


def test_a_claim_that_another_worker_took_over_writes_nothing(
    tenant: Tenant, receiver: Receiver
) -> None:
    subscribe(tenant, receiver.url, "alarms")
    alarm(unit_of(tenant, "d-1"))
    spread_events_across_tenants()

    def slow(request: Received) -> tuple[int, dict[str, str]]:
        return 500, {}

    receiver.answer = slow
    rows = deliver._claim(token := uuid4(), now())
    Notification.objects.update(claim_token=uuid4())
    sent = [deliver._try(message) for message in deliver._messages(rows)]
    outcomes = [deliver.Outcome(r, s) for r, s in zip(rows, sent, strict=True)]
    deliver._record(outcomes, token, now())

    assert Notification.objects.get().attempts == 0


def test_redirects_are_not_followed(tenant: Tenant, receiver: Receiver) -> None:
    subscribe(tenant, receiver.url, "alarms")
    receiver.answer = lambda r: (302, {"Location": f"https://{receiver.host}/other"})
    alarm(unit_of(tenant, "d-1"))

    deliver_all()

    assert [request.path for request in receiver.requests] == ["/hook?from=tests"]
    row = Notification.objects.get()
    assert (row.status, row.response_status) == ("pending", 302)
    assert "redirects are not followed" in row.error


def test_an_unknown_authority_gets_nothing(
    tenant: Tenant, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    other = make_authority(tmp_path)
    subscribe(tenant, receiver.url, "alarms")
    alarm(unit_of(tenant, "d-1"))
    monkeypatch.setenv("SSL_CERT_FILE", str(other.ca_file))

    deliver_all()

    assert receiver.requests == []
    assert Notification.objects.get().error.startswith("TLS:")


def test_a_host_that_is_no_longer_listed_is_refused_at_delivery(
    tenant: Tenant, receiver: Receiver
) -> None:
    subscribe(tenant, receiver.url, "alarms")
    alarm(unit_of(tenant, "d-1"))
    WebhookHost.objects.all().delete()

    deliver_all()

    assert receiver.requests == []
    assert Notification.objects.get().error.startswith("refused:")


def test_a_listed_host_may_speak_plain_http(tenant: Tenant) -> None:
    with receiving(None) as plain:
        WebhookHost.objects.create(host=plain.host)
        secret = subscribe(tenant, plain.url, "alarms")
        alarm(unit_of(tenant, "d-1"))
        deliver_all()

    assert plain.requests[0].is_signed_with(secret)


def test_what_fails_for_days_is_given_up_and_what_waits_goes_on(
    tenant: Tenant, receiver: Receiver
) -> None:
    subscribe(tenant, receiver.url, "alarms")
    receiver.answer = lambda r: (400 if r.event["type"] == "alarm.raised" else 200, {})
    unit = unit_of(tenant, "d-1")
    alarm(unit)
    alarm(unit, "cleared")
    deliver_all()

    deliver_all(after=3 * 24 * 3_600 + 60)

    statuses = Notification.objects.order_by("pk").values_list("status", flat=True)
    assert list(statuses) == ["failed", "delivered"]


def test_a_delivered_message_is_sent_again_when_a_person_asks(
    tenant: Tenant, receiver: Receiver
) -> None:
    subscribe(tenant, receiver.url, "alarms")
    alarm(unit_of(tenant, "d-1"))
    spread_events_across_tenants()
    client = client_of(tenant)
    (row,) = client.get(f"{API}notifications/").json()["results"]
    url = f"{API}notifications/{row['id']}/"
    assert client.post(f"{url}replay/").status_code == 409
    deliver_all()

    assert client.post(f"{url}replay/").status_code == 200
    deliver_all()

    first, again = receiver.requests
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    shown = client.get(url).json()
    assert (shown["status"], shown["type"], shown["subject"], shown["event"]) == (
        *("delivered", "alarm.raised", "d-1"),
        first.event["id"],
    )


def test_a_test_says_that_it_is_one(tenant: Tenant, receiver: Receiver) -> None:
    secret = subscribe(tenant, receiver.url, "jobs")
    client = client_of(tenant)
    webhook = client.get(f"{API}webhooks/").json()["results"][0]

    answer = client.post(f"{API}webhooks/{webhook['id']}/test/")
    deliver_all()

    assert answer.status_code == 202
    assert receiver.told == [(webhook["id"], "test.sent")]
    assert receiver.requests[0].is_signed_with(secret)
    shown = client.get(f"{API}notifications/{answer.json()['id']}/").json()
    assert shown["status"] == "delivered"


def test_a_secret_is_shown_once_and_kept_encrypted(
    tenant: Tenant, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    secret = subscribe(tenant, receiver.url)
    alarm(unit_of(tenant, "d-1"))
    deliver_all()
    client = client_of(tenant)
    row = client.get(f"{API}webhooks/").json()["results"][0]
    shown = client.get(f"{API}webhooks/{row['id']}/")

    assert secret.startswith("whsec_")
    assert len(secret) > 40
    assert "secret" not in shown.json()
    kept = Webhook.objects.get().secret
    assert secret not in kept
    assert secret not in caplog.text
    with connection.cursor() as cursor:
        cursor.execute("SELECT concat(before, after) FROM registry_auditentry")
        assert not any(secret in text or kept in text for (text,) in cursor)


def test_only_managers_of_the_whole_tenant_have_webhooks(tenant: Tenant) -> None:
    row, _ = create_webhook(
        tenant=tenant,
        actor=None,
        name="Ours",
        url="https://93.184.215.14/",
        events=["*"],
    )
    site = DeviceFactory.create(tenant=tenant).site
    url = f"{API}webhooks/{row.public_id}/"
    body = {"name": "Mine", "url": "https://93.184.215.14/"}

    for client in (
        client_of(tenant, Role.OPERATOR),
        client_of(tenant, Role.MANAGER, site=site),
    ):
        for answer in (
            client.get(f"{API}webhooks/"),
            client.post(f"{API}webhooks/", body, format="json"),
            client.get(url),
            client.patch(url, {"enabled": False}, format="json"),
            client.post(f"{url}test/"),
            client.delete(url),
        ):
            assert answer.status_code == 403
    stranger = client_of(TenantFactory.create(), Role.ADMIN)
    assert stranger.get(url).status_code == 404
    assert stranger.post(f"{url}test/").status_code == 404
    assert stranger.delete(url).status_code == 404
    manager = client_of(tenant)
    assert manager.patch(url, {"enabled": False}, format="json").status_code == 200
    assert manager.delete(url).status_code == 204


def test_a_limited_member_sees_only_what_was_sent_of_their_devices(
    tenant: Tenant, receiver: Receiver
) -> None:
    subscribe(tenant, receiver.url, "alarms")
    units = [unit_of(tenant, "d-1"), unit_of(tenant, "d-2")]
    for unit in units:
        alarm(unit)
    deliver_all()
    client = client_of(tenant, Role.OPERATOR, site=units[0].device.site)

    rows = client.get(f"{API}notifications/").json()["results"]

    assert [row["subject"] for row in rows] == ["d-1"]
    whole = client_of(tenant, Role.VIEWER)
    found = whole.get(f"{API}notifications/?status=delivered").json()["results"]
    assert [row["subject"] for row in found] == ["d-2", "d-1"]
    found = whole.get(f"{API}notifications/?subject=d-2").json()["results"]
    assert len(found) == 1


@pytest.mark.parametrize("events", [[], ["alarm"], ["fire"], ["alarm.fire"], ["*.x"]])
def test_an_unknown_event_is_refused(tenant: Tenant, events: list[str]) -> None:
    body = {"name": "Ours", "url": "https://93.184.215.14/", "events": events}

    answer = client_of(tenant).post(f"{API}webhooks/", body, format="json")

    if events == ["alarm"]:
        assert answer.status_code == 201
    else:
        assert answer.status_code == 400
        assert answer.json()["errors"][0]["field"] == "events"


def test_a_name_is_taken_once(tenant: Tenant) -> None:
    subscribe(tenant, "https://93.184.215.14/")
    body = {"name": "Ours", "url": "https://93.184.215.14/"}

    answer = client_of(tenant).post(f"{API}webhooks/", body, format="json")

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (409, "name")
