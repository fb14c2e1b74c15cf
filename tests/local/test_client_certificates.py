"""Devices that authenticate to Mosquitto with a certificate, over TLS."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from iotplatform.adapters.mqtt.credential_files import DeviceFiles
from iotplatform.common.private_files import write_private
from iotplatform.local.ports import answers, free_port
from iotplatform.management.commands.mosquitto_files import synchronise
from registry.services.credentials import register_certificate, revoke_credential
from tests.broker_process import BrokerProcess
from tests.conftest import need_mosquitto
from tests.factories import DeviceFactory
from tests.local.raw_mqtt import Closed, RawClient
from tests.registry.certificates import Authority, fingerprint
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db

# As in docs/production.md.
LISTENER = """
listener {port} 127.0.0.1
cafile {folder}/ca.pem
certfile {folder}/server.pem
keyfile {folder}/server.key
require_certificate true
use_identity_as_username true
use_username_as_clientid true
acl_file {folder}/certificates.acl
"""


@dataclass
class Certified:
    """Mosquitto with a listener for certificates, and the CA that it trusts."""

    process: BrokerProcess
    port: int
    authority: Authority
    folder: Path

    def connect(self, certificate: tuple[Path, Path]) -> RawClient:
        context = ssl.create_default_context(cafile=str(self.authority.file))
        context.load_cert_chain(*map(str, certificate))
        return RawClient(self.port, None, None, client_id=b"", tls=context)

    def synchronise(self) -> None:
        """Do what ``manage.py mosquitto_files`` does after each change."""
        folder, port = self.process.folder, self.process.port
        files = DeviceFiles(folder, folder / "broker.pid", ("127.0.0.1", port))
        assert synchronise(files, set())


@pytest.fixture
def broker_with_tls(tmp_path: Path) -> Iterator[Certified]:
    need_mosquitto()
    process, port, authority = BrokerProcess(), free_port(), Authority(tmp_path)
    account, folder = process.broker.account, process.folder
    certificate, key = authority.issue("localhost", file="server")
    for name, source in (
        ("ca.pem", authority.file),
        ("server.pem", certificate),
        ("server.key", key),
    ):
        write_private(folder / name, source.read_text(), owner=account)
    write_private(folder / "certificates.acl", "# nobody\n", owner=account)
    config = folder / "mosquitto.conf"
    text = config.read_text() + LISTENER.format(port=port, folder=folder)
    write_private(config, text, owner=account)
    process.start()
    wait_until(lambda: answers("127.0.0.1", port), what="the TLS listener")
    yield Certified(process, port, authority, tmp_path)
    process.stop()


def test_a_registered_certificate_works_for_its_device_until_it_is_revoked(
    broker_with_tls: Certified,
) -> None:
    mine, key = broker_with_tls.authority.issue("dev-1")
    device = DeviceFactory.create(uid="dev-1")
    known = register_certificate(device, fingerprint=fingerprint(mine)).credential
    broker_with_tls.synchronise()
    platform = RawClient(
        *(broker_with_tls.process.broker.platform_port, b"@bridge", b"bridge-secret"),
        client_id=b"ear",
    )
    platform.subscribe(b"iot/v1/#")

    def is_delivered(topic: bytes) -> bool:
        """Whether this publish reaches the platform."""
        one = broker_with_tls.connect((mine, key))
        with contextlib.suppress(Closed):  # Mosquitto closes here instead of refusing
            one.publish(topic, b"{}")
        one.drop()
        platform.publish(b"iot/v1/x/marker", b"{}")
        return platform.until(b"iot/v1/x/marker")[0] == topic

    def receives_commands(one: RawClient) -> bool:
        one.received.clear()
        platform.publish(b"iot/v1/dev-1/down/command", b"{}")
        platform.until(b"iot/v1/dev-1/down/command")
        return one.is_alive() and bool(one.received)

    assert is_delivered(b"iot/v1/dev-1/heartbeat")
    assert not is_delivered(b"iot/v1/dev-2/heartbeat")
    assert not is_delivered(b"iot/v1/dev-1/down/desired")
    listener = broker_with_tls.connect((mine, key))
    listener.subscribe(b"iot/v1/dev-1/down/#")
    assert receives_commands(listener)
    known.refresh_from_db()
    assert known.published_at is not None

    revoke_credential(known)
    broker_with_tls.synchronise()

    known.refresh_from_db()
    assert known.withdrawn_at is not None
    assert not receives_commands(listener)
    listener.drop()
    assert not is_delivered(b"iot/v1/dev-1/heartbeat")


def test_an_unregistered_certificate_has_no_rights(
    broker_with_tls: Certified,
) -> None:
    platform = RawClient(
        *(broker_with_tls.process.broker.platform_port, b"@bridge", b"bridge-secret"),
        client_id=b"ear",
    )
    platform.subscribe(b"iot/v1/#")
    client = broker_with_tls.connect(broker_with_tls.authority.issue("dev-9"))

    with contextlib.suppress(Closed):
        client.publish(b"iot/v1/dev-9/heartbeat", b"{}")
    platform.publish(b"iot/v1/x/marker", b"{}")

    assert platform.until(b"iot/v1/x/marker") == [b"iot/v1/x/marker"]


def test_a_certificate_of_another_authority_and_a_missing_one_are_refused(
    broker_with_tls: Certified, tmp_path_factory: pytest.TempPathFactory
) -> None:
    forger = Authority(tmp_path_factory.mktemp("forger"))
    context = ssl.create_default_context(cafile=str(broker_with_tls.authority.file))
    for certificate in (forger.issue("dev-1"), None):
        if certificate is not None:
            context.load_cert_chain(*map(str, certificate))
        with pytest.raises((Closed, OSError)):
            RawClient(broker_with_tls.port, b"dev-1", b"x", tls=context)
