"""Of two simultaneous changes to the same version, one is refused."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.db import connection
from rest_framework.test import APIClient

from registry.choices import TokenScope
from registry.services.tokens import create_token
from tests.api.test_versions import VERSIONED, make
from tests.api.world import API, OBJECTS
from tests.factories import TenantFactory, UserFactory
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

# The models whose names are not the singular of their collections.
MODEL_OF = {
    "hardware-revisions": "registry.HardwareRevision",
    "batches": "registry.Batch",
    "firmware-releases": "registry.FirmwareRelease",
    "enrolment-keys": "registry.EnrolmentKey",
    "command-definitions": "commands.CommandDefinition",
    "cohorts": "fleet.Cohort",
    "playbooks": "console.Playbook",
    "webhooks": "console.Webhook",
    "notification-rules": "console.NotificationRule",
    "sla-policies": "console.SlaPolicy",
    "alarm-rules": "state.AlarmRule",
    "maintenance-windows": "state.MaintenanceWindow",
}
PREREQUISITES = ("projects", "sites", "products", "hardware-revisions", "devices")
# DELETE only retires or revokes these; they can still be changed.
STAY = {"devices", "enrolment-keys"}
WAITING = """
    SELECT count(DISTINCT l.pid) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE NOT l.granted AND a.datname = current_database()
"""


def table_of(collection: str) -> str:
    label = MODEL_OF.get(collection, f"registry.{collection.removesuffix('s')}")
    return str(apps.get_model(label)._meta.db_table)


@pytest.fixture
def key() -> str:
    """The key of a superuser, in a tenant with the objects that others depend on."""
    TenantFactory(slug="acme")
    UserFactory(username="newcomer")
    _, key = create_token(
        user=UserFactory(is_superuser=True), name="all", scopes=TokenScope.values
    )
    for collection, body in OBJECTS:
        if collection in PREREQUISITES:
            made = client(key).post(
                f"{API}{collection}/", body | {"tenant": "acme"}, format="json"
            )
            assert made.status_code == 201, made.content
    return key


def client(key: str) -> APIClient:
    found = APIClient()
    found.credentials(HTTP_AUTHORIZATION=f"Token {key}")
    return found


@contextmanager
def held_back(table: str) -> Iterator[psycopg.Connection[Any]]:
    """Lock all rows of the table against changes, inside this context."""
    given = connection.get_connection_params()
    given = {k: v for k, v in given.items() if k not in ("context", "cursor_factory")}
    given["options"] = "-c role=iot_platform"
    with psycopg.connect(**given) as holder:
        holder.execute(f"SELECT id FROM {table} FOR UPDATE")
        yield holder
        holder.rollback()


def both_wait(watcher: psycopg.Connection[Any]) -> bool:
    # Within one transaction PostgreSQL would show the sessions of the first look.
    watcher.execute("SELECT pg_stat_clear_snapshot()")
    (row,) = watcher.execute(WAITING).fetchall()
    return bool(row[0] == 2)


def at_once(table: str, *requests: Any) -> list[int]:
    """Send requests that wait for the same row's lock; return their status codes."""

    def send(request: Any) -> int:
        try:
            return int(request().status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(requests)) as threads:
        with held_back(table) as holder:
            sent: list[Future[int]] = [threads.submit(send, r) for r in requests]
            wait_until(lambda: both_wait(holder), what=f"both at {table}")
        return sorted(future.result() for future in sent)


def test_of_two_changes_to_the_same_version_one_is_refused(key: str) -> None:
    outcomes = {}
    for collection, (body, change) in VERSIONED.items():
        url, seen = make(client(key), collection, body)

        def patch(url: str = url, seen: str = seen, change: Any = change) -> Any:
            return client(key).patch(
                url, change, format="json", headers={"If-Match": seen}
            )

        outcomes[collection] = at_once(table_of(collection), patch, patch)

    assert outcomes == {collection: [200, 412] for collection in VERSIONED}


def test_of_a_simultaneous_change_and_deletion_one_is_refused(key: str) -> None:
    outcomes = {}
    for collection, (body, change) in VERSIONED.items():
        if collection in STAY:
            continue
        url, seen = make(client(key), collection, body)

        def patch(url: str = url, change: Any = change) -> Any:
            return client(key).patch(url, change, format="json")

        def delete(url: str = url, seen: str = seen) -> Any:
            return client(key).delete(url, headers={"If-Match": seen})

        outcomes[collection] = at_once(table_of(collection), patch, delete)

    # The second request finds a newer version, or no object at all.
    assert {
        collection: found
        for collection, found in outcomes.items()
        if found not in ([200, 412], [204, 404])
    } == {}
