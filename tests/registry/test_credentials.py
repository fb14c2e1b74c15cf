"""Credentials: shown once, valid when answered, refused when revoked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from registry.device_secrets import make_verifier, verify_secret
from registry.models import Credential, Device, Tenant
from registry.selectors.credentials import (
    list_awaiting_withdrawal_across_tenants,
    list_broker_lines_across_tenants,
)
from registry.services import credentials
from registry.services.credentials import (
    import_verifiers,
    issue_credential,
    mark_published,
    mark_withdrawn,
    revoke_credential,
)
from registry.services.lifecycle import move_lifecycle
from tests.factories import DeviceFactory


def url_of(device: Device, credential_id: str = "") -> str:
    url = f"/api/v1/devices/{device.uid}/credentials/"
    return f"{url}{credential_id}/" if credential_id else url


def lines() -> dict[str, str]:
    return {line.uid: line.verifier for line in list_broker_lines_across_tenants()}


def synchronise_once() -> None:
    """Do what ``manage.py mosquitto_files`` does, without the files."""
    gone = set(list_awaiting_withdrawal_across_tenants().values_list("pk", flat=True))
    ids = [line.credential_id for line in list_broker_lines_across_tenants()]
    mark_published(ids)
    mark_withdrawn(sorted(gone - set(ids)))


@pytest.fixture
def broker_reads_files(settings: Any, transactional_db: None) -> None:
    settings.BROKER_CREDENTIALS = "files"


@pytest.fixture
def broker_files(broker_reads_files: None) -> Iterator[None]:
    """Write the broker's files in another process, as in production."""
    stop = threading.Event()

    def keep() -> None:
        while not stop.wait(0.02):
            synchronise_once()
        connection.close()

    thread = threading.Thread(target=keep)
    thread.start()
    yield
    stop.set()
    thread.join()


def test_a_secret_is_shown_once_and_stored_as_a_verifier(
    manager: APIClient, acme: Tenant
) -> None:
    device = DeviceFactory(tenant=acme)

    answer = manager.post(url_of(device))

    assert answer.status_code == 201, answer.json()
    body = answer.json()
    shown = {"id", "kind", "secret", "created_at", "supersedes", "fingerprint"}
    assert set(body) == shown | {"older_stay_valid", "note"}
    assert body["kind"] == "password"
    row = Credential.objects.get(public_id=body["id"])
    assert verify_secret(body["secret"], row.verifier)
    assert body["secret"] not in row.verifier
    listed = manager.get(url_of(device)).json()["results"]
    assert [row["id"] for row in listed] == [body["id"]]
    assert "secret" not in listed[0]
    assert "verifier" not in listed[0]


def test_the_broker_gets_the_newest_secret_of_devices_that_may_connect(
    acme: Tenant,
) -> None:
    device = DeviceFactory(tenant=acme, uid="one")
    issue_credential(device)
    newest = issue_credential(device)
    retired = DeviceFactory(tenant=acme, uid="gone")
    issue_credential(retired)
    move_lifecycle(device=retired, to="retired")
    revoked = DeviceFactory(tenant=acme, uid="revoked")
    revoke_credential(issue_credential(revoked).credential)

    assert lines() == {"one": newest.credential.verifier}


def test_a_post_answers_once_the_broker_has_the_secret(
    broker_files: None, manager: APIClient, acme: Tenant
) -> None:
    device = DeviceFactory(tenant=acme)
    first = manager.post(url_of(device)).json()

    second = manager.post(url_of(device))

    assert second.status_code == 201, second.json()
    row = Credential.objects.get(public_id=second.json()["id"])
    assert row.published_at is not None
    assert second.json()["supersedes"] == [first["id"]]
    assert second.json()["older_stay_valid"] is False
    assert "only this newest secret is valid" in second.json()["note"]
    assert Credential.objects.get(public_id=first["id"]).revoked_at is not None


def test_a_retirement_answers_once_the_broker_refuses_the_secret(
    broker_files: None, manager: APIClient, acme: Tenant
) -> None:
    device = DeviceFactory(tenant=acme)
    issued = manager.post(url_of(device)).json()

    moved = manager.post(
        f"/api/v1/devices/{device.uid}/lifecycle/", {"to": "retired"}, format="json"
    )

    assert moved.status_code == 200, moved.json()
    row = Credential.objects.get(public_id=issued["id"])
    assert row.revoked_at is not None
    assert row.withdrawn_at is not None


def test_a_delete_answers_once_the_broker_refuses_the_secret(
    broker_files: None, manager: APIClient, acme: Tenant
) -> None:
    device = DeviceFactory(tenant=acme)
    body = manager.post(url_of(device)).json()

    answers = [manager.delete(url_of(device, body["id"])) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [204, 204]
    row = Credential.objects.get(public_id=body["id"])
    assert row.revoked_at is not None
    assert row.withdrawn_at is not None
    assert lines() == {}


def test_nothing_is_left_half_done_when_the_broker_does_not_answer(
    broker_reads_files: None,
    manager: APIClient,
    acme: Tenant,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    device = DeviceFactory(tenant=acme)
    import_verifiers(tenant=acme, verifiers={device.pk: make_verifier("older")})
    synchronise_once()
    older = Credential.objects.get()
    monkeypatch.setattr(credentials, "WAIT_SECONDS", 0.1)

    answer = manager.post(url_of(device))

    assert answer.status_code == 503
    assert answer["Content-Type"] == "application/problem+json"
    assert "secret" not in answer.json()
    assert lines() == {device.uid: older.verifier}
    newer = Credential.objects.exclude(pk=older.pk).get()
    assert newer.revoked_at is not None

    withdrawn = manager.delete(url_of(device, str(older.public_id)))

    assert withdrawn.status_code == 503
    older.refresh_from_db()
    assert older.revoked_at is not None


def test_waiting_inside_a_transaction_is_refused_at_once(
    settings: Any, acme: Tenant
) -> None:
    settings.BROKER_CREDENTIALS = "files"

    with pytest.raises(RuntimeError):
        issue_credential(DeviceFactory(tenant=acme))


def test_a_retired_device_gets_no_secret(manager: APIClient, acme: Tenant) -> None:
    device = DeviceFactory(tenant=acme, lifecycle="retired")

    answer = manager.post(url_of(device))

    assert answer.status_code == 409
    assert "retired" in answer.json()["detail"]
    assert not Credential.objects.exists()


def test_only_managers_of_the_tenant_see_issue_and_revoke(
    acme: Tenant, viewer: APIClient, stranger: APIClient, act_as: Any
) -> None:
    device = DeviceFactory(tenant=acme)
    row = issue_credential(device).credential
    one = url_of(device, str(row.public_id))
    expected = {APIClient(): 401, viewer: 403, act_as("approver"): 403, stranger: 404}

    for client, status in expected.items():
        answers = [client.get(url_of(device)), client.post(url_of(device))]
        answers.append(client.delete(one))
        assert [answer.status_code for answer in answers] == [status] * 3

    row.refresh_from_db()
    assert row.revoked_at is None
    assert Credential.objects.count() == 1


def test_another_devices_credential_is_not_found_below_this_one(
    manager: APIClient, acme: Tenant
) -> None:
    row = issue_credential(DeviceFactory(tenant=acme)).credential

    answer = manager.delete(url_of(DeviceFactory(tenant=acme), str(row.public_id)))

    assert answer.status_code == 404
    row.refresh_from_db()
    assert row.revoked_at is None


def test_verifiers_made_elsewhere_are_imported_once(acme: Tenant) -> None:
    devices = DeviceFactory.create_batch(3, tenant=acme)
    verifiers = {device.pk: make_verifier(device.uid) for device in devices}

    taken = [import_verifiers(tenant=acme, verifiers=verifiers) for _ in range(2)]

    assert taken == [3, 0]
    assert lines() == {device.uid: verifiers[device.pk] for device in devices}
