"""Health, readiness and metrics: without a token, and without data of tenants."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from iotplatform.local.ports import free_port
from iotplatform.monitoring import readiness
from registry.models import Tenant
from state.models import DeadLetterCount, ListeningSlot
from state.services.presence.adapter_liveness import open_slots
from tests.factories import DeviceFactory


def beat(seconds_ago: float = 0.0) -> None:
    at = timezone.now() - timedelta(seconds=seconds_ago)
    ListeningSlot.objects.update_or_create(
        slot=1,
        defaults={
            "owner": "bridge-1",
            "beat_at": at,
            "caught_up_at": at,
            "messages": 7,
            "rate": 2.5,
            "lag_seconds": 0.25,
        },
    )


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> None:
    """The index has its own tests; here it always works."""
    monkeypatch.setitem(readiness.CHECKS, "index", lambda: None)


def parts_of(client: Client, status: int) -> dict[str, str]:
    answer = client.get("/readyz")
    assert answer.status_code == status, answer.content
    parts: dict[str, str] = answer.json()["parts"]
    return parts


def test_a_process_that_runs_is_live(client: Client) -> None:
    answer = client.get("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_the_platform_is_ready_when_all_parts_work(
    client: Client, db: None, index: None
) -> None:
    beat()

    assert set(parts_of(client, 200).values()) == {"ok"}


def test_each_missing_part_is_named(
    client: Client, db: None, settings: Any, tmp_path: Path
) -> None:
    settings.REDIS_URL = "redis://:hush@127.0.0.1:1/0"
    settings.INDEX_DIR = tmp_path
    settings.DEMO_READY_FILE = str(tmp_path / "ready")

    parts = parts_of(client, 503)

    assert parts["database"] == parts["migrations"] == "ok"
    assert parts["redis"] == "does not answer"
    assert "bridge" in parts["broker"]
    assert parts["index"] != "ok"
    assert "demo" in parts["demo"]
    assert "hush" not in str(parts)


def test_without_the_database_the_parts_that_need_it_are_not_asked(
    client: Client, db: None, index: None
) -> None:
    ours = connections["default"]
    away: Any = ours.copy()
    away.settings_dict["PORT"] = free_port()
    connections["default"] = away
    try:
        parts = parts_of(client, 503)
    finally:
        connections["default"] = ours

    assert parts["database"] == "does not answer"
    assert parts["redis"] == "ok"
    assert "database" in parts["migrations"]
    assert "database" in parts["broker"]


def test_a_bridge_without_a_recent_heartbeat_is_not_ready(
    client: Client, db: None, index: None
) -> None:
    beat(seconds_ago=60)

    assert "1 of 1" in parts_of(client, 503)["broker"]


def test_a_slot_that_no_bridge_has_read_yet_is_not_ready(
    client: Client, db: None, index: None
) -> None:
    open_slots(1, now=timezone.now())

    assert "1 of 1" in parts_of(client, 503)["broker"]


def test_the_demo_is_ready_once_its_file_exists(
    client: Client, db: None, index: None, settings: Any, tmp_path: Path
) -> None:
    beat()
    settings.DEMO_READY_FILE = str(tmp_path / "ready")
    parts_of(client, 503)

    (tmp_path / "ready").touch()

    parts_of(client, 200)


def test_metrics_are_prometheus_text_without_tenants(
    client: Client, acme: Tenant
) -> None:
    beat()
    DeviceFactory(tenant=acme, uid="canary-uid", name="canary-name")
    DeadLetterCount.objects.create(reason="undecodable", total=3)

    answer = client.get("/metrics")
    text = answer.content.decode()

    assert answer["Content-Type"].startswith("text/plain")
    assert 'iot_dead_letters_total{reason="undecodable"} 3.0' in text
    assert 'iot_ingest_messages_total{slot="1"} 7.0' in text
    assert "iot_ingest_rate 2.5" in text
    assert "acme" not in text
    assert "canary" not in text


def test_only_superusers_see_the_platforms_figures(
    superuser: APIClient, manager: APIClient
) -> None:
    beat()
    DeadLetterCount.objects.create(reason="undecodable", total=3)

    body = superuser.get("/api/v1/platform/").json()

    assert manager.get("/api/v1/platform/").status_code == 403
    assert set(body) == {"ingest", "index", "queues", "dead_letters", "adapters"}
    assert body["ingest"] == {"rate": 2.5, "lag_seconds": 0.25}
    assert body["dead_letters"] == {"total": 3, "by_reason": {"undecodable": 3}}
    assert set(body["adapters"]) == {"mqtt", "http"}
    assert all(isinstance(depth, int) for depth in body["queues"].values())


def test_the_schema_covers_the_contract_and_the_docs_need_no_inline_script(
    client: Client, db: None
) -> None:
    schema = json.loads(client.get("/api/schema/?format=json").content)
    page = client.get("/api/docs/")
    script = client.get("/api/docs/?script=")

    for path in (
        "/api/v1/auth/token/",
        "/api/v1/devices/{uid}/",
        "/api/v1/devices/{uid}/credentials/",
        "/api/v1/devices/{uid}/desired/",
        "/api/v1/alarms/",
        "/api/v1/commands/",
        "/api/v1/jobs/",
        "/api/v1/fleet/search/",
        "/api/v1/platform/",
    ):
        assert path in schema["paths"]
    html = page.content.decode()
    assert "<script>" not in html
    assert "<style" not in html
    assert "unsafe" not in page["Content-Security-Policy"]
    assert script["Content-Type"].startswith("application/javascript")
    assert "SwaggerUIBundle" in script.content.decode()
