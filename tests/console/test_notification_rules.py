"""Notification rules: made, read and changed by managers, with no secret shown."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from console.models import NotificationRule, WebhookHost
from console.services.webhooks.edit import create_webhook
from registry.choices import Role
from registry.models import MembershipLimit, Tenant
from tests.factories import (
    MembershipFactory,
    SiteFactory,
    TenantFactory,
    UserFactory,
)

pytestmark = pytest.mark.django_db
URL = "/api/v1/notification-rules/"
MAIL = {"kind": "mail", "address": "us@example.com"}
ROOM = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/"


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


def refused(client: APIClient, **given: Any) -> list[str]:
    """Return the fields that a new rule is refused for."""
    body = {"name": "Us", "targets": [MAIL]} | given
    answer = client.post(URL, body, format="json")
    assert answer.status_code == 400, answer.content
    assert not NotificationRule.objects.exists()
    return [error["field"] for error in answer.json()["errors"]]


def test_a_rule_is_made_changed_and_deleted(tenant: Tenant) -> None:
    client = client_of(tenant)
    anna = UserFactory.create(username="anna", email="anna@example.com")
    MembershipFactory.create(tenant=tenant, user=anna, role=Role.OPERATOR)
    SiteFactory.create(tenant=tenant, slug="north")
    hook, _ = create_webhook(
        tenant=tenant,
        actor=None,
        name="Ours",
        url="https://93.184.215.14/",
        events=["alarms"],
    )
    body = {
        "name": "On call",
        "severity": "critical",
        "sites": ["north"],
        "causes": ["site", "gateway"],
        "quiet_hours": [{"days": ["mon"], "from": "22:00", "to": "06:00"}],
        "time_zone": "Europe/Berlin",
        "targets": [
            {"kind": "user", "user": "anna"},
            MAIL,
            {"kind": "chat", "url": ROOM},
            {"kind": "webhook", "webhook": str(hook.public_id)},
        ],
        "escalate_after_minutes": 15,
        "digest_minutes": 0,
        "enabled": True,
    }

    made = client.post(URL, body, format="json")

    assert made.status_code == 201, made.content
    shown = made.json()
    same = ("name", "severity", "sites", "quiet_hours", "time_zone", "digest_minutes")
    assert [shown[name] for name in same] == [body[name] for name in same]
    assert shown["causes"] == ["gateway", "site"]
    assert [each["name"] for each in shown["targets"]] == [
        *("anna", "us@example.com", "Slack", "Ours")
    ]
    one = f"{URL}{shown['id']}/"
    changed = client.patch(one, {"escalate_after_minutes": None}, format="json")
    assert changed.json() == shown | {"escalate_after_minutes": None}
    assert client.get(URL).json()["results"] == [changed.json()]
    assert client.delete(one).status_code == 204
    assert client.get(one).status_code == 404


def test_the_address_of_a_chat_room_is_kept_encrypted_and_never_shown(
    tenant: Tenant,
) -> None:
    client = client_of(tenant)
    body = {"name": "Us", "targets": [{"kind": "chat", "url": ROOM}]}
    made = client.post(URL, body, format="json")
    kept = NotificationRule.objects.get().targets[0]["secret"]
    target = made.json()["targets"][0]

    same = {"targets": [MAIL, {"id": target["id"], "kind": "chat"}]}
    changed = client.patch(f"{URL}{made.json()['id']}/", same, format="json")

    assert changed.status_code == 200, changed.content
    assert changed.json()["targets"][1] == target
    assert NotificationRule.objects.get().targets[1]["secret"] == kept
    for answer in (made, changed):
        assert b"TIiajkdnlazkcOXrIdevi7FQ" not in answer.content
        assert b"secret" not in answer.content
    assert "TIiajkdnlazkcOXrIdevi7FQ" not in kept
    with connection.cursor() as cursor:
        cursor.execute("SELECT concat(before, after) FROM registry_auditentry")
        assert not any(kept in text or "TIiajk" in text for (text,) in cursor)


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("color", {"color": "red"}),
        ("name", {"name": ""}),
        ("severity", {"severity": "bad"}),
        ("sites", {"sites": ["nowhere"]}),
        ("causes.0", {"causes": ["ghosts"]}),
        ("time_zone", {"time_zone": "Mars/Base"}),
        ("quiet_hours.0.from", {"quiet_hours": [{"from": "25:00", "to": "06:00"}]}),
        ("escalate_after_minutes", {"escalate_after_minutes": 0}),
        ("digest_minutes", {"digest_minutes": -1}),
        ("targets.0.kind", {"targets": [{"kind": "pigeon"}]}),
        ("targets.0.user", {"targets": [{"kind": "user", "user": "nobody"}]}),
        ("targets.0.address", {"targets": [{"kind": "mail", "address": "us"}]}),
        ("targets.1.url", {"targets": [MAIL, {"kind": "chat", "url": "exec://rm"}]}),
        ("targets.0.webhook", {"targets": [{"kind": "webhook", "webhook": "x"}]}),
        ("targets.0.user", {"targets": [MAIL | {"user": "anna"}]}),
    ],
)
def test_a_bad_value_is_refused_by_its_field(
    tenant: Tenant, field: str, given: dict[str, Any]
) -> None:
    assert refused(client_of(tenant), **given) == [field]


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "syslog://",
        "dbus://",
        "json://93.184.215.14/",
        "jsons://example.com/",
        "mailto://user:pass@example.com",
        "ntfys://127.0.0.1/topic",
        "ntfys://localhost/topic",
        "ntfys://[::1]/topic",
        "ntfys://169.254.169.254/latest",
        "ntfys://2130706433/topic",
        "ntfys://ntfy.corp/topic",
        "ntfy://93.184.215.14/topic",
        "mmosts://10.0.0.1/3ccdd113474722377935511fc85d3dd4",
        f"{ROOM}?template=/etc/passwd",
        f"{ROOM}?verify=no",
        "slack://short",
    ],
)
def test_a_forbidden_chat_address_is_refused(tenant: Tenant, url: str) -> None:
    targets = [{"kind": "chat", "url": url}]
    assert refused(client_of(tenant), targets=targets) == ["targets.0.url"]


def test_a_chat_server_inside_is_allowed_once_a_superuser_lists_it(
    tenant: Tenant,
) -> None:
    WebhookHost.objects.create(host="ntfy.corp:443")
    body = {
        "name": "Us",
        "targets": [{"kind": "chat", "url": "ntfys://ntfy.corp/topic"}],
    }

    assert client_of(tenant).post(URL, body, format="json").status_code == 201


def test_targets_belong_to_the_tenant_and_see_all_of_it(tenant: Tenant) -> None:
    other = TenantFactory.create()
    site = SiteFactory.create(tenant=tenant)
    theirs, limited, mute = (
        UserFactory.create(username=name, email=mail)
        for name, mail in (("theirs", "t@x.org"), ("limited", "l@x.org"), ("mute", ""))
    )
    MembershipFactory.create(tenant=other, user=theirs)
    member = MembershipFactory.create(tenant=tenant, user=limited)
    MembershipLimit.objects.create(membership=member, tenant=tenant, site=site)
    MembershipFactory.create(tenant=tenant, user=mute)
    hook, _ = create_webhook(
        tenant=other,
        actor=None,
        name="Theirs",
        url="https://93.184.215.14/",
        events=["*"],
    )
    client = client_of(tenant)

    for name in ("theirs", "limited", "mute"):
        targets: list[dict[str, Any]] = [{"kind": "user", "user": name}]
        assert refused(client, targets=targets) == ["targets.0.user"]
    targets = [{"kind": "webhook", "webhook": str(hook.public_id)}]
    assert refused(client, targets=targets) == ["targets.0.webhook"]


def test_only_managers_of_the_whole_tenant_have_rules(tenant: Tenant) -> None:
    body = {"name": "Us", "targets": [MAIL]}
    assert client_of(tenant).post(URL, body, format="json").status_code == 201
    one = f"{URL}{NotificationRule.objects.get().public_id}/"
    site = SiteFactory.create(tenant=tenant)

    for client in (client_of(tenant, Role.OPERATOR), client_of(tenant, site=site)):
        for path in (URL, one):
            assert client.get(path).status_code == 403
        assert client.post(URL, body, format="json").status_code == 403
    stranger = client_of(TenantFactory.create())
    assert stranger.get(one).status_code == 404
    assert stranger.get(URL).json()["results"] == []


def test_a_name_is_taken_once_in_a_tenant(tenant: Tenant) -> None:
    body = {"name": "Us", "targets": [MAIL]}
    client = client_of(tenant)
    assert client.post(URL, body, format="json").status_code == 201
    assert client.post(URL, body, format="json").status_code == 409
    other = client_of(TenantFactory.create())
    assert other.post(URL, body, format="json").status_code == 201
