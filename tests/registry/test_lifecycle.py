"""The lifecycle: what each move needs, does and refuses."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from rest_framework.test import APIClient

from registry.choices import CONNECTS, MOVES, Lifecycle
from registry.models import Credential, LifecycleMove, Tenant
from registry.services.lifecycle import move_lifecycle
from tests.factories import DeviceFactory


def url_of(device: Any) -> str:
    return f"/api/v1/devices/{device.uid}/lifecycle/"


def credential_of(device: Any) -> Credential:
    return Credential.objects.create(tenant=device.tenant, device=device, verifier="x")


@pytest.mark.parametrize(("current", "to"), [*product(Lifecycle, Lifecycle)])
def test_a_move_is_made_or_refused_as_the_diagram_says(
    manager: APIClient, acme: Tenant, current: Lifecycle, to: Lifecycle
) -> None:
    device = DeviceFactory(tenant=acme, lifecycle=current)
    successor = DeviceFactory(tenant=acme, uid="new")
    credential = credential_of(device)
    given = {"to": to, "reason": "because"}
    if to == Lifecycle.REPLACED:
        given["replaced_by"] = "new"

    answer = manager.post(url_of(device), given, format="json")

    device.refresh_from_db()
    credential.refresh_from_db()
    move = LifecycleMove.objects.filter(device=device).first()
    if to in MOVES[current]:
        assert answer.status_code == 200, answer.json()
        assert answer.json()["lifecycle"] == device.lifecycle == to
        assert move is not None
        assert (move.moved_from, move.moved_to) == (current, to)
        assert move.reason == "because"
        assert move.actor is not None
        assert (move.replaced_by == successor) is (to == Lifecycle.REPLACED)
        assert (credential.revoked_at is None) is (to in CONNECTS)
    else:
        assert answer.status_code == 409
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["allowed"] == sorted(MOVES[current])
        assert device.lifecycle == current
        assert move is None
        assert credential.revoked_at is None


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({}, "to"),
        ({"to": "dead"}, "to"),
        ({"to": "replaced"}, "replaced_by"),
        ({"to": "replaced", "replaced_by": "nobody"}, "replaced_by"),
        ({"to": "replaced", "replaced_by": "theirs"}, "replaced_by"),
        ({"to": "replaced", "replaced_by": "itself"}, "replaced_by"),
        ({"to": "replaced", "replaced_by": "gone"}, "replaced_by"),
        ({"to": "retired", "replaced_by": "gone"}, "replaced_by"),
        ({"to": "retired", "why": "x"}, "why"),
    ],
)
def test_a_bad_request_names_the_field_and_moves_nothing(
    manager: APIClient,
    acme: Tenant,
    globex: Tenant,
    wrong: dict[str, Any],
    field: str,
) -> None:
    device = DeviceFactory(tenant=acme, uid="itself")
    DeviceFactory(tenant=globex, uid="theirs")
    DeviceFactory(tenant=acme, uid="gone", lifecycle="retired")

    answer = manager.post(url_of(device), wrong, format="json")

    assert answer.status_code == 400
    assert field in {row["field"] for row in answer.json()["errors"]}
    device.refresh_from_db()
    assert device.lifecycle == "active"
    assert not LifecycleMove.objects.exists()


def test_only_a_manager_of_the_tenant_moves_a_device(
    acme: Tenant, viewer: APIClient, stranger: APIClient, act_as: Any
) -> None:
    device = DeviceFactory(tenant=acme)
    clients = [APIClient(), viewer, act_as("operator"), stranger]

    answers = [
        c.post(url_of(device), {"to": "retired"}, format="json") for c in clients
    ]

    assert [answer.status_code for answer in answers] == [401, 403, 403, 404]
    device.refresh_from_db()
    assert device.lifecycle == "active"


def test_a_refurbished_device_needs_a_new_secret(acme: Tenant) -> None:
    device = DeviceFactory(tenant=acme)
    credential = credential_of(device)

    move_lifecycle(device=device, to="retired")
    move_lifecycle(device=device, to="provisioned")

    credential.refresh_from_db()
    assert credential.revoked_at is not None
    assert device.lifecycle == "provisioned"
