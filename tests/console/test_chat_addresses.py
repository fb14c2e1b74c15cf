"""A tenant's chat room reaches no inner address, however it is written."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import urlsplit

import pytest
from rest_framework.test import APIClient

from console.models import NotificationRule
from console.services.notifications.chat import send_chat
from console.services.notifications.texts import Text
from registry.models import Tenant
from tests.console.notifications import RULES, manager_of
from tests.console.test_webhook_addresses import FORBIDDEN
from tests.factories import TenantFactory

TEXT = Text("Title", "Body", "id")
ROOMS = [
    f"{scheme}://{urlsplit(url).netloc}/{token}"
    for url in FORBIDDEN
    for scheme, token in (
        ("ntfys", "topic"),
        ("mmosts", "3ccdd113474722377935511fc85d3dd4"),
    )
]
SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"


@pytest.fixture
def client(db: None) -> APIClient:
    tenant: Tenant = TenantFactory.create()
    return manager_of(tenant)


def test_no_inner_chat_server_is_taken(client: APIClient) -> None:
    wrong = {}
    for url in ROOMS:
        body = {"name": "Us", "targets": [{"kind": "chat", "url": url}]}
        answer = client.post(RULES, body, format="json")
        fields = [row["field"] for row in answer.json().get("errors", [])]
        if (answer.status_code, fields) != (400, ["targets.0.url"]):
            wrong[url] = (answer.status_code, fields)

    assert wrong == {}
    assert len(ROOMS) >= 60
    assert not NotificationRule.objects.exists()


def test_no_inner_chat_server_is_connected_to() -> None:
    for url in ROOMS:
        sent = send_chat(url, TEXT, listed=set())

        assert sent.error.startswith("refused:"), url


@pytest.mark.parametrize(
    "addresses",
    [["10.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["::ffff:10.0.0.1"], ["fe80::1%2"]],
)
@pytest.mark.parametrize("url", ["ntfys://chat.example.com/topic", SLACK])
def test_a_name_is_checked_at_the_moment_of_the_connection(
    url: str, addresses: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 443)) for a in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
    connected: list[Any] = []
    monkeypatch.setattr(
        "console.services.notifications.chat._plain_connect",
        lambda address, *args, **kwargs: connected.append(address),
    )

    sent = send_chat(url, TEXT, listed=set())

    assert sent.error.startswith("refused: The address is not public")
    assert connected == []


def test_the_checked_address_is_connected_to_and_the_name_not_resolved_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []

    def answer(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", port))]

    connected: list[Any] = []

    def connect(address: Any, *args: Any, **kwargs: Any) -> Any:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    monkeypatch.setattr("console.services.notifications.chat._plain_connect", connect)

    sent = send_chat("ntfys://chat.example.com/topic", TEXT, listed=set())

    assert asked == ["chat.example.com"]
    assert connected == [("93.184.215.14", 443)]
    assert sent.error == "ntfy did not take it"
