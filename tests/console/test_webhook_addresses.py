"""A tenant's URL reaches no inner address, however it is written."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from rest_framework.test import APIClient

from console.models import Webhook
from console.services.webhooks.addresses import RefusedAddress, read_url, resolve
from console.services.webhooks.sender import Message, send
from registry.choices import Role
from tests.factories import MembershipFactory, UserFactory

WEBHOOKS = "/api/v1/webhooks/"
FORBIDDEN = [
    "https://127.0.0.1/",
    "https://127.8.9.1:8443/hook",
    "https://127.1/",
    "https://0.0.0.0/",
    "https://0/",
    "https://2130706433/",  # 127.0.0.1 as one number
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://0x7f.1/",
    "https://127.0.0.1./",
    "https://localhost/",
    "https://LOCALHOST./",
    "https://printer/",
    "https://db.corp/",
    "https://metadata.google.internal/computeMetadata/v1/",
    "https://gateway.local/",
    "https://10.0.0.1/",
    "https://172.16.4.2/",
    "https://172.31.255.254/",
    "https://192.168.1.1/",
    "https://100.64.0.1/",  # carrier-grade NAT
    "https://100.100.100.200/latest/meta-data/",
    "https://169.254.169.254/latest/meta-data/",
    "https://0xa9fea9fe/",
    "https://168.63.129.16/",
    "https://192.0.0.192/opc/v2/",
    "https://198.18.0.1/",
    "https://192.0.2.7/",
    "https://224.0.0.1/",
    "https://239.255.255.250/",
    "https://240.0.0.1/",
    "https://255.255.255.255/",
    "https://[::1]/",
    "https://[::]/",
    "https://[::ffff:127.0.0.1]/",  # IPv4, mapped
    "https://[::ffff:a00:1]/",
    "https://[::ffff:169.254.169.254]/",
    "https://[::127.0.0.1]/",
    "https://[64:ff9b::7f00:1]/",  # NAT64
    "https://[2002:7f00:1::]/",  # 6to4
    "https://[2001:0:7f00:1::]/",  # Teredo
    "https://[fe80::1]/",
    "https://[fe80::1%25eth0]/",
    "https://[fc00::1]/",
    "https://[fd00:ec2::254]/",
    "https://[fec0::1]/",
    "https://[ff02::1]/",
    "https://[2001:db8::1]/",
]
NO_URL = [
    "http://93.184.215.14/",
    "ftp://93.184.215.14/",
    "file:///etc/passwd",
    "gopher://93.184.215.14:25/_x",
    "https://",
    "https:///hook",
    "https://user:pass@93.184.215.14/",
    "https://93.184.215.14@127.0.0.1/",
    "https://93.184.215.14\\@127.0.0.1/",
    "https://93.184.215.14/#@127.0.0.1",
    "https://93.184.215.14:0/",
    "https://93.184.215.14:99999/",
    "https://93.184.215.14 /",
    "https://93.184.215.14/\r\nHost: inside",
    "https://①②⑦.0.0.1/",
    "https://" + "a" * 2_000 + ".example/",
]
PUBLIC = "https://93.184.215.14/hook"


@pytest.fixture
def client(db: None) -> APIClient:
    client = APIClient()
    client.force_authenticate(MembershipFactory.create(role=Role.MANAGER).user)
    return client


def made_with(client: APIClient, url: str) -> Any:
    body = {"name": "Ours", "url": url, "events": ["alarms"]}
    return client.post(WEBHOOKS, body, format="json")


def test_no_inner_address_is_taken(client: APIClient) -> None:
    wrong = {}
    for url in [*FORBIDDEN, *NO_URL]:
        answer = made_with(client, url)
        fields = [row["field"] for row in answer.json().get("errors", [])]
        if (answer.status_code, fields) != (400, ["url"]):
            wrong[url] = (answer.status_code, fields)

    assert wrong == {}
    assert len(FORBIDDEN) >= 30
    assert not Webhook.objects.exists()


def test_no_inner_address_is_connected_to() -> None:
    for url in FORBIDDEN:
        sent = send(Message(url, False, "whsec_AAAA", "id", b"{}"))

        assert sent.error.startswith("refused:"), url
        assert sent.status is None


def test_a_public_address_and_an_unknown_name_are_taken(client: APIClient) -> None:
    assert made_with(client, PUBLIC).status_code == 201
    url = f"{WEBHOOKS}{Webhook.objects.get().public_id}/"
    changed = client.patch(url, {"url": "https://10.0.0.1/"}, format="json")
    assert (changed.status_code, changed.json()["errors"][0]["field"]) == (400, "url")
    unknown = {"url": "https://nobody.example/hook"}
    assert client.patch(url, unknown, format="json").status_code == 200


@pytest.mark.parametrize(
    "addresses",
    [["10.0.0.1"], ["93.184.215.14", "127.0.0.1"], ["::ffff:10.0.0.1"], ["fe80::1%2"]],
)
def test_a_name_with_an_inner_address_is_refused(
    addresses: list[str], client: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, 443)) for a in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)

    answer = made_with(client, "https://hooks.example.com/")

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "url")
    with pytest.raises(RefusedAddress):
        resolve(read_url("https://hooks.example.com/"), is_listed=False)


def test_a_name_is_resolved_once_for_a_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name that means another address at the second look is not looked up again."""
    asked: list[str] = []

    def answer(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        asked.append(host)
        # A literal that urllib3 resolves is the address that was checked.
        address = "192.0.2.1" if host == "hooks.example.com" else host
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    connected: list[Any] = []

    def connect(address: Any, *args: Any, **kwargs: Any) -> Any:
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    monkeypatch.setattr("urllib3.util.connection.create_connection", connect)

    sent = send(Message("https://hooks.example.com/", True, "whsec_AAAA", "i", b"{}"))

    assert asked == ["hooks.example.com"]
    assert connected == [("192.0.2.1", 443)]
    assert sent.is_target_away


def test_a_superuser_lists_hosts_that_may_be_private_and_plain_http(
    client: APIClient,
) -> None:
    superuser = APIClient()
    superuser.force_authenticate(UserFactory.create(is_superuser=True))
    hosts = "/api/v1/webhook-hosts/"
    wanted = {"host": "Localhost:8099"}
    assert client.post(hosts, wanted, format="json").status_code == 403
    assert client.get(hosts).status_code == 403

    made = superuser.post(hosts, wanted, format="json")

    assert (made.status_code, made.json()["host"]) == (201, "localhost:8099")
    assert superuser.post(hosts, wanted, format="json").json() == made.json()
    assert made_with(client, "http://localhost:8099/hook").status_code == 201
    assert made_with(client, "http://localhost:8098/hook").status_code == 400
    for wrong in (
        "localhost",
        "localhost:",
        ":80",
        "a b:80",
        "x:0",
        "x:70000",
        "[x]:1",
    ):
        answer = superuser.post(hosts, {"host": wrong}, format="json")
        assert answer.status_code == 400, wrong
        assert answer.json()["errors"][0]["field"] == "host"
    one = f"{hosts}{made.json()['id']}/"
    assert client.delete(one).status_code == 403
    assert superuser.delete(one).status_code == 204
    assert superuser.get(hosts).json()["results"] == []
