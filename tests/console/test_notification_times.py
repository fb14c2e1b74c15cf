"""When an incident is told: escalation, quiet hours, and digests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from console.judgment.quiet_hours import end_of_quiet, never_end
from console.models import IncidentMember, Notification
from console.services.incidents.actions import acknowledge_incident, resolve_incident
from registry.models import Tenant
from tests.commands.units import now
from tests.console.incidents import make_incident
from tests.console.mail_server import MailServer, receiving_mail
from tests.console.notifications import (
    RULES,
    make_rule,
    manager_of,
    plan,
    send_all,
    use_mail_server,
)
from tests.factories import DeviceFactory, SiteFactory, TenantFactory, UserFactory

FIRST, SECOND, THIRD = (
    {"kind": "mail", "address": f"{name}@example.com"}
    for name in ("first", "second", "third")
)
NIGHT: dict[str, Any] = {"from": "22:00", "to": "06:00"}
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def tenant(db: None) -> Tenant:
    made: Tenant = TenantFactory.create(slug="acme")
    return made


@pytest.fixture
def mailbox(settings: Any, db: None) -> Iterator[MailServer]:
    with receiving_mail() as server:
        use_mail_server(settings, server)
        yield server


def told(mailbox: MailServer) -> list[str]:
    return [mail["To"].partition("@")[0] for mail in mailbox.mails]


def test_the_next_target_is_told_while_nobody_acknowledges(
    tenant: Tenant, mailbox: MailServer
) -> None:
    make_rule(tenant, FIRST, SECOND, THIRD, escalate_after_minutes=10)
    make_incident(tenant)

    send_all()
    send_all(after=9 * 60)
    assert told(mailbox) == ["first"]
    send_all(after=11 * 60)
    assert told(mailbox) == ["first", "second"]
    send_all(after=22 * 60)
    send_all(after=60 * 60)

    assert told(mailbox) == ["first", "second", "third"]
    steps = Notification.objects.order_by("pk").values_list("step", flat=True)
    assert list(steps) == [1, 2, 3]


@pytest.mark.parametrize("act", [acknowledge_incident, resolve_incident])
def test_an_acknowledgement_or_an_end_stops_the_escalation(
    tenant: Tenant, mailbox: MailServer, act: Any
) -> None:
    make_rule(tenant, FIRST, SECOND, escalate_after_minutes=10)
    incident = make_incident(tenant)
    send_all()

    act(incident, by=UserFactory.create())
    send_all(after=3_600)

    assert told(mailbox) == ["first"]


def test_without_escalation_only_the_first_target_is_told(
    tenant: Tenant, mailbox: MailServer
) -> None:
    make_rule(tenant, FIRST, SECOND)
    make_incident(tenant)

    send_all()
    send_all(after=24 * 3_600)

    assert told(mailbox) == ["first"]


def test_the_next_target_is_told_at_once_where_one_cannot_be(
    tenant: Tenant, mailbox: MailServer
) -> None:
    rule = make_rule(tenant, FIRST, SECOND, escalate_after_minutes=60)
    rule.targets[0] |= {"kind": "user", "user_id": UserFactory.create().pk}
    rule.save()
    make_incident(tenant)

    send_all()
    send_all()

    assert told(mailbox) == ["second"]


def test_quiet_hours_hold_back_what_is_not_critical(
    tenant: Tenant, mailbox: MailServer
) -> None:
    clock = now().time()
    hours = {
        "from": (now() - timedelta(hours=1)).strftime("%H:%M"),
        "to": (now() + timedelta(hours=1)).strftime("%H:%M"),
    }
    make_rule(tenant, quiet_hours=[hours], time_zone="UTC")
    make_incident(tenant, severity="warning")
    make_incident(tenant, severity="critical", object_id="dev-2")

    send_all()
    assert [subject.split()[1] for subject in mailbox.subjects] == ["critical:"]
    send_all(after=3_660)

    assert [subject.split()[1] for subject in mailbox.subjects] == [
        *("critical:", "warning:")
    ], clock


def test_quiet_hours_are_those_of_the_incidents_site(tenant: Tenant) -> None:
    site = SiteFactory.create(tenant=tenant, time_zone="Asia/Tokyo")
    there = now().astimezone(ZoneInfo("Asia/Tokyo"))
    hours = {
        "from": (there - timedelta(hours=1)).strftime("%H:%M"),
        "to": (there + timedelta(hours=1)).strftime("%H:%M"),
    }
    make_rule(tenant, quiet_hours=[hours])
    incident = make_incident(tenant)
    IncidentMember.objects.create(
        tenant=tenant,
        incident=incident,
        device=DeviceFactory.create(tenant=tenant, site=site),
        since=now(),
    )

    plan()

    row = Notification.objects.get()
    assert row.tell_at is not None
    assert timedelta(minutes=58) < row.tell_at - now() <= timedelta(hours=1)


def test_a_digest_is_one_message_of_what_came_meanwhile(
    tenant: Tenant, mailbox: MailServer
) -> None:
    make_rule(tenant, digest_minutes=10)
    make_incident(tenant, severity="critical", title="one")
    send_all()
    make_incident(tenant, object_id="dev-2", title="two")
    send_all(after=5 * 60)
    assert mailbox.mails == []

    send_all(after=10 * 60 + 1)
    make_incident(tenant, object_id="dev-3", title="three")
    send_all(after=11 * 60)
    send_all(after=22 * 60)

    digest, single = mailbox.mails
    assert digest["Subject"] == "[acme] 2 notifications"
    assert "critical: #1 one" in digest.get_content()
    assert "warning: #2 two" in digest.get_content()
    assert single["Subject"] == "[acme] warning: #3 three"


@pytest.mark.parametrize(
    ("at", "hours", "end"),
    [
        ("2026-12-02 21:59", NIGHT, "2026-12-02 21:59"),
        ("2026-12-02 22:00", NIGHT, "2026-12-03 06:00"),
        ("2026-12-03 05:59", NIGHT, "2026-12-03 06:00"),
        ("2026-12-03 06:00", NIGHT, "2026-12-03 06:00"),
        ("2026-12-02 12:00", {"from": "08:00", "to": "17:00"}, "2026-12-02 17:00"),
        # A Wednesday.
        ("2026-12-02 23:00", NIGHT | {"days": ["wed"]}, "2026-12-03 06:00"),
        ("2026-12-03 01:00", NIGHT | {"days": ["wed"]}, "2026-12-03 06:00"),
        ("2026-12-02 01:00", NIGHT | {"days": ["wed"]}, "2026-12-02 01:00"),
    ],
)
def test_quiet_hours_end(at: str, hours: dict[str, Any], end: str) -> None:
    begin, wanted = (
        datetime.fromisoformat(text).replace(tzinfo=BERLIN) for text in (at, end)
    )

    assert end_of_quiet(begin, [hours], BERLIN) == wanted


@pytest.mark.parametrize(
    ("at", "to", "end"),
    [
        # On 29 March the clock goes from 02:00 to 03:00, at 01:00 UTC: a short night.
        ("2026-03-28T21:00", "06:00", "2026-03-29T04:00"),
        ("2026-03-28T21:00", "02:30", "2026-03-29T01:30"),
        # On 25 October it shows 02:00 to 03:00 twice, until 01:00 and 02:00 UTC.
        ("2026-10-24T20:00", "06:00", "2026-10-25T05:00"),
        ("2026-10-24T20:00", "02:30", "2026-10-25T01:30"),
        ("2026-10-25T00:45", "02:30", "2026-10-25T01:30"),
    ],
)
def test_quiet_hours_over_a_change_of_the_clock(at: str, to: str, end: str) -> None:
    begin, wanted = (
        datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (at, end)
    )

    assert end_of_quiet(begin, [{"from": "22:00", "to": to}], BERLIN) == wanted


def test_quiet_hours_that_follow_each_other_are_one() -> None:
    hours = [NIGHT, {"from": "06:00", "to": "09:00", "days": ["sat", "sun"]}]
    friday_night = datetime(2026, 12, 4, 23, tzinfo=UTC)

    end = end_of_quiet(friday_night, hours, ZoneInfo("UTC"))

    assert end == datetime(2026, 12, 5, 9, tzinfo=UTC)


def test_quiet_hours_of_the_whole_week_are_refused(tenant: Tenant) -> None:
    always = [{"from": "00:00", "to": "00:00"}]
    assert never_end(always)
    assert not never_end([{"from": "00:00", "to": "23:59"}])
    body = {"name": "Us", "targets": [FIRST], "quiet_hours": always}

    answer = manager_of(tenant).post(RULES, body, format="json")

    assert answer.status_code == 400
    assert [row["field"] for row in answer.json()["errors"]] == ["quiet_hours"]
