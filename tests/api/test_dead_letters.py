"""Rejected messages over REST: lists, payloads, replays and their outcomes."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from registry.choices import Role, TokenScope
from registry.models import AuditEntry, Device, Tenant
from registry.services.tokens import create_token
from state.models import Alarm, DeadLetter
from state.services.dead_letters import DeadLetterDraft, record_dead_letters
from tests.factories import DeviceFactory, MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db
GOOD = b'{"code": "hot", "severity": "warning", "state": "raised"}'
LETTERS = "/api/v1/dead-letters/"


def client_with(*scopes: str, tenant: Tenant | None) -> APIClient:
    """Return the client of a script: a tenant's operator's, or a superuser's."""
    if tenant is None:
        user = UserFactory(is_superuser=True)
    else:
        user = MembershipFactory(tenant=tenant, role=Role.OPERATOR).user
    _, key = create_token(user=user, name="script", scopes=scopes)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {key}")
    return client


def put(device: Device | None, payload: bytes = GOOD, reason: str = "x") -> DeadLetter:
    uid = device.uid if device else "stranger"
    draft = DeadLetterDraft(
        topic=f"iot/v1/{uid}/event",
        adapter="mqtt",
        reason=reason,
        detail="no",
        tenant_id=device.tenant_id if device else None,
        payload=payload,
        uid=uid,
    )
    record_dead_letters([draft], now=datetime.now(UTC) - timedelta(hours=1))
    return DeadLetter.objects.latest("pk")


def test_letters_are_listed_filtered_and_shown_with_payload() -> None:
    device = DeviceFactory()
    letter, other = put(device, b"\xff{", "bad_json"), put(device, reason="lifecycle")
    put(DeviceFactory())
    client = client_with(TokenScope.READ, tenant=device.tenant)

    every = client.get(LETTERS).json()["results"]
    some = client.get(f"{LETTERS}?reason=bad_json&device={device.uid}&outcome=none")
    recent = client.get(f"{LETTERS}?since={datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    whole = client.get(f"{LETTERS}{letter.public_id}/").json()

    assert [row["id"] for row in every] == [str(letter.public_id), str(other.public_id)]
    assert "payload" not in every[0]
    assert [row["id"] for row in some.json()["results"]] == [str(letter.public_id)]
    assert recent.json()["results"] == []
    assert whole["payload"] == {
        "text": None,
        "base64": base64.b64encode(b"\xff{").decode(),
        "is_whole": True,
    }
    assert (whole["device"], whole["tenant"]) == (device.uid, device.tenant.slug)


def test_one_and_several_are_replayed_and_the_audit_log_names_the_token() -> None:
    device = DeviceFactory()
    one, good, bad = put(device), put(device), put(device, b"{")
    client = client_with(TokenScope.OPERATE, tenant=device.tenant)

    first = client.post(f"{LETTERS}{one.public_id}/replay/")
    ids = [str(bad.public_id), str(good.public_id), str(one.public_id)]
    several = client.post(f"{LETTERS}replay/", {"ids": ids}, format="json")

    assert first.json() == {
        "id": str(one.public_id),
        "outcome": "taken",
        "detail": "",
    }
    outcomes = {row["id"]: row["outcome"] for row in several.json()["results"]}
    assert list(outcomes.values()) == ["repeated", "taken", "refused"]
    assert Alarm.objects.get(device=device).count == 2
    entries = AuditEntry.objects.filter(kind="dead_letter")
    assert {entry.token_name for entry in entries} == {"script"}
    assert entries.count() == 3


def test_a_replay_needs_the_right_and_only_the_callers_letters_can_be_replayed() -> (
    None
):
    device = DeviceFactory()
    mine, theirs, nobodys = put(device), put(DeviceFactory()), put(None)
    reader = client_with(TokenScope.READ, tenant=device.tenant)
    operator = client_with(TokenScope.OPERATE, tenant=device.tenant)

    assert reader.post(f"{LETTERS}{mine.public_id}/replay/").status_code == 403
    for letter in (theirs, nobodys):
        path = f"{LETTERS}{letter.public_id}/"
        assert operator.get(path).status_code == 404
        assert operator.post(f"{path}replay/").status_code == 404
    ids = [str(mine.public_id), str(theirs.public_id)]
    mixed = operator.post(f"{LETTERS}replay/", {"ids": ids}, format="json")

    assert mixed.status_code == 400
    assert [row["field"] for row in mixed.json()["errors"]] == ["ids.1"]
    assert not Alarm.objects.exists()
    assert not DeadLetter.objects.exclude(outcome="").exists()


def test_only_superusers_see_letters_of_no_known_device() -> None:
    letter = put(None)
    DeviceFactory(uid="stranger")
    client = client_with(TokenScope.MANAGE, tenant=None)

    found = client.get(LETTERS).json()["results"]
    replayed = client.post(f"{LETTERS}{letter.public_id}/replay/")

    assert [row["tenant"] for row in found] == [None]
    assert replayed.json()["outcome"] == "taken"


@pytest.mark.parametrize("body", [{}, {"ids": []}, {"ids": ["x"]}, {"ids": 1}])
def test_a_bad_selection_names_the_field(body: dict[str, object]) -> None:
    client = client_with(TokenScope.OPERATE, tenant=DeviceFactory().tenant)

    answer = client.post(f"{LETTERS}replay/", body, format="json")

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"].startswith("ids")
    many = {"ids": [str(uuid4()) for _ in range(101)]}
    too_many = client.post(f"{LETTERS}replay/", many, format="json")
    assert too_many.status_code == 400
